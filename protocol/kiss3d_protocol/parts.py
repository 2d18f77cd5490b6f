"""Where the parts of blobs are kept until they are whole: in memory, or on the disk, where they outlive the program."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from kiss3d_protocol.payloads import Blob

CACHE_DIR_VARIABLE = "KISS3D_CACHE_DIR"
KEPT_SECONDS = 7 * 24 * 3600.0
"""How long a part waits on the disk for somebody to go on with it."""


class Parts(Protocol):
    """The beginnings of blobs, by their sha256."""

    def size(self, sha256: str) -> int:
        """How many bytes are here, from the start on."""
        ...

    def append(self, sha256: str, offset: int, data: Blob) -> None:
        """Adds what begins at ``offset``; nothing happens where that is not the end of what is here."""
        ...

    def read(self, sha256: str) -> bytes:
        """What is here."""
        ...

    def drop(self, sha256: str) -> None:
        """Forgets a blob."""
        ...


class MemoryParts:
    """Parts that end with the program."""

    def __init__(self) -> None:
        self._parts: dict[str, bytearray] = {}

    def size(self, sha256: str) -> int:
        return len(self._parts.get(sha256, b""))

    def append(self, sha256: str, offset: int, data: Blob) -> None:
        if offset == self.size(sha256):
            self._parts.setdefault(sha256, bytearray()).extend(data)

    def read(self, sha256: str) -> bytes:
        return bytes(self._parts.get(sha256, b""))

    def drop(self, sha256: str) -> None:
        self._parts.pop(sha256, None)


class FolderParts:
    """One file for each blob, readable by its owner only.

    Several programs may go on with the same file at once: whatever they write at one place is the same, and nobody
    writes behind the end. On a disk that cannot be written to, parts are kept in memory instead.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._memory = MemoryParts()
        self._usable = True
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _forget_old(folder)
        except OSError:
            self._usable = False

    def size(self, sha256: str) -> int:
        if not self._usable:
            return self._memory.size(sha256)
        try:
            return self._path(sha256).stat().st_size
        except OSError:
            return 0

    def append(self, sha256: str, offset: int, data: Blob) -> None:
        if not self._usable:
            self._memory.append(sha256, offset, data)
            return
        try:
            handle = os.open(self._path(sha256), os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            with os.fdopen(handle, "wb") as file:
                if file.seek(0, os.SEEK_END) == offset:
                    file.write(data)
        except OSError:
            self._usable = False

    def read(self, sha256: str) -> bytes:
        if not self._usable:
            return self._memory.read(sha256)
        try:
            return self._path(sha256).read_bytes()
        except OSError:
            return b""

    def drop(self, sha256: str) -> None:
        self._memory.drop(sha256)
        # On Windows a file that another program has open stays; it is forgotten when it is old.
        with contextlib.suppress(OSError):
            self._path(sha256).unlink(missing_ok=True)

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.part"


def downloads_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """The folder for parts in ``$KISS3D_CACHE_DIR``, or in the platform's folder for what can be had again."""
    return _cache_dir(environment) / "downloads"


def _cache_dir(environment: Mapping[str, str]) -> Path:
    chosen = environment.get(CACHE_DIR_VARIABLE)
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "kiss3d" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "kiss3d"
    chosen = environment.get("XDG_CACHE_HOME", "")
    return (Path(chosen) if chosen.startswith("/") else Path.home() / ".cache") / "kiss3d"


def _forget_old(folder: Path) -> None:
    for path in folder.glob("*.part"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
