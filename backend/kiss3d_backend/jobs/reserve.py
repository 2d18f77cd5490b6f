"""Room on the disk that is kept for the moment when there is no other."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from kiss3d_backend.whole_file import write_whole

_log = logging.getLogger(__name__)

RESERVE_BYTES = 8 * 2**20


class DiskReserve:
    """A file that is given up when the disk is full, so that the end of a job can still be stored and told.

    Backends that share a data directory share it.
    """

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self._path = path
        self._size = size

    def fill(self) -> None:
        """Makes the file where there is none and there is room enough for others beside it."""
        if self._path.exists():
            return
        try:
            if shutil.disk_usage(self._path.parent).free > 4 * self._size:
                write_whole(self._path, bytes(self._size))
        except OSError as error:
            _log.warning("the reserve on the disk cannot be made: %s", error)

    def release(self) -> None:
        """Gives the room back."""
        try:
            self._path.unlink()
        except OSError:
            return
        _log.warning("the disk is full: the reserve of %d MiB was given up", self._size >> 20)
