"""A bell between threads."""

from __future__ import annotations

import contextlib
import threading

import zmq


class Bell:
    """Wakes the broker's loop, which polls ``socket``, from other threads."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.PULL)
        self.socket.bind("inproc://bell")
        self._ringer = self._context.socket(zmq.PUSH)
        self._ringer.connect("inproc://bell")
        self._lock = threading.Lock()

    def ring(self) -> None:
        """Thread-safe."""
        with self._lock, contextlib.suppress(zmq.ZMQError):
            self._ringer.send(b"", zmq.DONTWAIT)

    def silence(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                self.socket.recv(zmq.DONTWAIT)

    def close(self) -> None:
        with self._lock:
            self._ringer.close(linger=0)
        self.socket.close(linger=0)
        self._context.term()
