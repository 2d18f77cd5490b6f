"""A lock file that one process holds; the system lets go of it when the process ends, in whatever way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class HeldLock:
    """Held from the beginning until :meth:`release`. Raises BlockingIOError when another process or object holds it,
    another OSError when the file cannot be made."""

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(self._descriptor)
        except OSError as error:
            self.release()
            raise BlockingIOError(*error.args) from error

    def release(self) -> None:
        """Lets go of it; the file stays, since another process may be about to lock it."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
