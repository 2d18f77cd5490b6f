"""A transport inside one process, for tests: the test plays the backend on the other end."""

from __future__ import annotations

import queue
from collections.abc import Sequence

from kiss3d_protocol.payloads import Blob


class MemoryTransport:
    """The client's end. The test reads ``sent`` and calls :meth:`deliver`."""

    def __init__(self) -> None:
        self.sent: queue.SimpleQueue[list[Blob]] = queue.SimpleQueue()
        self.closed = False
        self._inbox: queue.SimpleQueue[list[Blob] | None] = queue.SimpleQueue()

    def deliver(self, frames: Sequence[Blob]) -> None:
        """What the backend sends."""
        self._inbox.put(list(frames))

    def send(self, frames: Sequence[Blob]) -> None:
        self.sent.put(list(frames))

    def receive(self, timeout: float) -> list[Blob] | None:
        try:
            return self._inbox.get(timeout=max(timeout, 0.0))
        except queue.Empty:
            return None

    def wake(self) -> None:
        self._inbox.put(None)

    def close(self) -> None:
        self.closed = True
