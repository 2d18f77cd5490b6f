"""What a folder takes on the disk."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

AGE_SECONDS = 60.0


class DiskUse:
    """Counted on a thread of its own, as a data directory may hold many files, and at most once a minute."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._bytes: int | None = None
        self._counted = float("-inf")
        self._thread: threading.Thread | None = None

    def known(self) -> int | None:
        """The bytes of the last count, None before the first. Begins another one when it is time."""
        idle = self._thread is None or not self._thread.is_alive()
        if idle and self._clock() - self._counted >= AGE_SECONDS:
            self._counted = self._clock()
            self._thread = threading.Thread(target=self._count, name="disk-use", daemon=True)
            self._thread.start()
        return self._bytes

    def _count(self) -> None:
        self._bytes = folder_bytes(self._folder)


def folder_bytes(folder: Path) -> int:
    """Of all files below; what vanishes meanwhile, or cannot be looked at, counts nothing."""
    total = 0
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total
