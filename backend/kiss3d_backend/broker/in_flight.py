"""How much of what was sent to one client is still in this process, because the client reads slowly."""

from __future__ import annotations

from collections import deque
from typing import Protocol

MOST_BYTES = 4 << 20


class Tracker(Protocol):
    """Tells whether a frame has left (:class:`zmq.MessageTracker`)."""

    @property
    def done(self) -> bool: ...


class InFlight:
    """Big frames that ZeroMQ holds for one client. The small ones are bounded by its own limit of messages."""

    def __init__(self) -> None:
        self._frames: deque[tuple[Tracker, int]] = deque()

    @property
    def full(self) -> bool:
        """Whether nothing big may follow now. One frame may be bigger than the limit, on its own."""
        while self._frames and self._frames[0][0].done:
            self._frames.popleft()
        return sum(size for _, size in self._frames) >= MOST_BYTES

    def add(self, tracker: Tracker, size: int) -> None:
        """A frame of ``size`` bytes was handed to ZeroMQ."""
        self._frames.append((tracker, size))
