"""Hashes of files: sha256, and git's own hash, which is the ETag of a small file on the hub."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from threading import Event

from kiss3d_protocol.errors import JobCancelled

CHUNK = 1 << 20
GIT_LIMIT = 64 << 20
"""Bytes from which a file is never kept in git itself; only below is git's hash worth its time."""

_LFS = re.compile(r"[0-9a-f]{64}")
_GIT = re.compile(r"[0-9a-f]{40}")


class Digest:
    """Fed with the bytes of one file of ``size`` bytes, in order."""

    def __init__(self, size: int) -> None:
        self._sha256 = hashlib.sha256()
        # A git blob hash, which names content and protects nothing: sha1 of "blob SIZE\\0" and the bytes.
        self._git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False) if size < GIT_LIMIT else None

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        if self._git is not None:
            self._git.update(data)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def matches_etag(self, etag: str) -> bool | None:
        """Whether the content is what ``etag`` names; None when that kind of ETag is no hash of the content."""
        if _LFS.fullmatch(etag):
            return etag == self.sha256
        if _GIT.fullmatch(etag) and self._git is not None:
            return etag == self._git.hexdigest()
        return None


def lfs_sha256(etag: str) -> str:
    """The sha256 that an ETag is, or nothing."""
    return etag if _LFS.fullmatch(etag) else ""


def feed(digest: Digest, path: Path, cancel: Event | None = None, on_bytes: Callable[[int], None] | None = None) -> int:
    """Feeds a file and returns its length in bytes. Raises OSError, :class:`JobCancelled`."""
    count = 0
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            if cancel is not None and cancel.is_set():
                raise JobCancelled("Cancelled.")
            digest.update(data)
            count += len(data)
            if on_bytes is not None:
                on_bytes(len(data))
    return count


def hash_file(path: Path, cancel: Event | None = None, on_bytes: Callable[[int], None] | None = None) -> Digest:
    """The digest of a whole file. Raises OSError, :class:`JobCancelled`."""
    digest = Digest(path.stat().st_size)
    feed(digest, path, cancel, on_bytes)
    return digest
