"""Blobs on disk, named by their sha256: pictures that came in, arrays and textures that went out."""

from __future__ import annotations

from pathlib import Path

from kiss3d_backend.whole_file import write_whole
from kiss3d_protocol.errors import ArtifactLost
from kiss3d_protocol.payloads import Blob, sha256_of


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
        """Stores a blob and returns its sha256. A reader never sees half of one."""
        sha256 = sha256_of(blob)
        path = self.path(sha256)
        if path.exists():
            return sha256
        write_whole(path, blob)
        return sha256

    def read(self, sha256: str) -> bytes:
        """The blob. Raises :class:`ArtifactLost` when it is gone."""
        try:
            return self.path(sha256).read_bytes()
        except OSError as error:
            raise ArtifactLost("A part of this job's result is no longer on the backend's disk.") from error
