"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from kiss3d_protocol.payloads import Blob


def write_whole(path: Path, data: Blob) -> None:
    """Writes a file for its owner alone, and its folder where there is none; a reader never sees half of it.

    Raises OSError; what was there before is then still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
