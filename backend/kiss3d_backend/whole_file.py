"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

from kiss3d_protocol.payloads import Blob

_PART = ".part-"
ABANDONED_SECONDS = 3600.0
"""After which nobody writes any more into a file that was never finished."""


def write_whole(path: Path, data: Blob, *, durable: bool = False) -> None:
    """Writes a file for its owner alone, and its folder where there is none; a reader never sees half of it.

    ``durable``: it is on the disk when this returns, and outlives a loss of power. Raises OSError; what was there
    before is then still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PART)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(path.parent)


def sweep_parts(root: Path, older_than: float = ABANDONED_SECONDS) -> int:
    """Deletes what killed processes left half written below ``root`` that long ago, in seconds; returns how many."""
    swept = 0
    for path in root.rglob(f"{_PART}*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime >= older_than:
                path.unlink()
                swept += 1
    return swept


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        # Folders cannot be opened there; NTFS keeps its own journal of names.
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
