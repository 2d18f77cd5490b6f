"""Bytes, speed and the time that is left."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

WINDOW = 10.0
"""Seconds that the speed is measured over."""


Item = TypeVar("Item")


class Meter(Generic[Item]):
    """Counts the bytes of several files. Any thread may :meth:`add`.

    ``latest``: the file that got bytes last, at first the given one. ``clock``: seconds that only grow.
    """

    def __init__(self, total: int, first: Item, clock: Callable[[], float] = time.monotonic) -> None:
        self.latest = first
        self._clock = clock
        self._lock = threading.Lock()
        self._total = total
        self._done = 0
        self._samples: deque[tuple[float, int]] = deque([(clock(), 0)])

    def add(self, count: int, item: Item) -> None:
        """Bytes that came for ``item``; negative when some had to be thrown away."""
        with self._lock:
            self.latest = item
            self._done += count

    def skip(self, count: int) -> None:
        """Bytes that were here before: done, but not fast."""
        with self._lock:
            self._done += count
            self._samples = deque((at, done + count) for at, done in self._samples)

    def read(self) -> tuple[int, int, float, float | None]:
        """Bytes done, bytes in all, bytes a second of late, and seconds left (None while that is not known)."""
        with self._lock:
            now = self._clock()
            self._samples.append((now, self._done))
            while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
                self._samples.popleft()
            then, before = self._samples[0]
            speed = max(0.0, (self._done - before) / (now - then)) if now > then else 0.0
            left = max(0, self._total - self._done)
            return self._done, self._total, speed, left / speed if speed > 0 else (0.0 if left == 0 else None)
