"""How a client's frames reach a backend: over ZeroMQ, or inside one process for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from kiss3d_protocol.payloads import Blob


class Transport(Protocol):
    """A connection that one thread owns; only :meth:`wake` may be called from others."""

    def send(self, frames: Sequence[Blob]) -> None:
        """Hands one message over; never blocks."""
        ...

    def receive(self, timeout: float) -> list[Blob] | None:
        """The next message, or None after ``timeout`` seconds or a :meth:`wake`.

        Raises :class:`ConnectionLost` when the connection has ended, and another :class:`ConnectionFailed` each time
        that the other side has turned this one away; it tries again.
        """
        ...

    def wake(self) -> None:
        """Makes a waiting :meth:`receive` return. Thread-safe."""
        ...

    def close(self) -> None:
        """Ends the connection after what was sent has left, or half a second has passed."""
        ...
