"""Blobs on disk, named by their sha256: pictures that came in, arrays and textures that went out."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from kiss3d_backend.disk import naming_disk_errors
from kiss3d_backend.whole_file import write_whole
from kiss3d_protocol.errors import ArtifactLost
from kiss3d_protocol.payloads import Blob, sha256_of

_log = logging.getLogger(__name__)

SETTLING_SECONDS = 60.0
"""How long after it was written a blob may belong to a job whose record does not name it yet."""


class Blobs(Protocol):
    """Where blobs are kept, by their sha256."""

    def put(self, blob: Blob) -> str:
        """Stores a blob and returns its sha256. Raises :class:`DiskFull` and :class:`DataDirectoryUnusable`."""
        ...

    def read(self, sha256: str) -> bytes:
        """The blob. Raises :class:`ArtifactLost` when it is gone, or is not what was stored."""
        ...


class Artifacts:
    """A content-addressed folder. Several processes may write into it at once."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, sha256: str) -> Path:
        """Where the blob of this name lies, or would lie."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise ValueError(f"not a sha256: {sha256!r:.80}")
        return self._root / sha256[:2] / sha256

    def put(self, blob: Blob) -> str:
        """Stores a blob and returns its sha256. It outlives a loss of power, and a reader never sees half of it.

        Raises :class:`DiskFull` and :class:`DataDirectoryUnusable`.
        """
        sha256 = sha256_of(blob)
        path = self.path(sha256)
        with naming_disk_errors():
            if self._renew(path, memoryview(blob).nbytes):
                return sha256
            write_whole(path, blob, durable=True)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The blob. Raises :class:`ArtifactLost` when it is gone, or is not what was stored."""
        path = self.path(sha256)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ArtifactLost("A part of this job is no longer on the backend's disk.") from error
        if sha256_of(data) != sha256:
            _log.error("artifact %s is damaged, and is deleted", sha256)
            # So that the same content, made again, is stored again.
            path.unlink(missing_ok=True)
            raise ArtifactLost("A part of this job was damaged on the backend's disk.")
        return data

    def size(self, sha256: str) -> int:
        """Bytes of a blob, 0 when it is gone."""
        try:
            return self.path(sha256).stat().st_size
        except OSError:
            return 0

    def read_part(self, sha256: str, offset: int, length: int) -> tuple[bytes, int]:
        """At most ``length`` bytes of the blob from ``offset`` on, and the length of it all.

        Raises :class:`ArtifactLost` when it is gone. Whoever puts the parts together looks whether they are sound.
        """
        try:
            with self.path(sha256).open("rb") as file:
                file.seek(offset)
                return file.read(length), os.fstat(file.fileno()).st_size
        except OSError as error:
            raise ArtifactLost("A part of this job is no longer on the backend's disk.") from error

    def discard(self, sha256: str) -> bool:
        """Deletes a blob that no job names; False when it was written a moment ago and has to be asked about again."""
        path = self.path(sha256)
        try:
            if time.time() - path.stat().st_mtime < SETTLING_SECONDS:
                return False
            path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.warning("artifact %s cannot be deleted: %s", sha256, error)
        return True

    def names(self) -> Iterator[str]:
        """Every blob that is there."""
        for path in self._root.glob("??/*"):
            if len(path.name) == 64:
                yield path.name

    @staticmethod
    def _renew(path: Path, size: int) -> bool:
        """Whether the blob is there already; it then counts as written now, see :meth:`discard`."""
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size == size:
                os.utime(path)
                return True
        return False
