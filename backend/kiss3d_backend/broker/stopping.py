"""How a backend is told to stop."""

from __future__ import annotations

import signal
from types import FrameType


class StopRequest:
    """Asked once, the running job may end first, within a time; asked twice, or at once, nothing is waited for.

    Any thread may ask, and a signal handler.
    """

    def __init__(self) -> None:
        self.asked = False
        self.at_once = False

    def ask(self) -> None:
        """The first time politely."""
        self.at_once = self.asked
        self.asked = True

    def ask_at_once(self) -> None:
        """Nobody is there any more who would wait."""
        self.asked = self.at_once = True


def stop_on_signals(stop: StopRequest) -> None:
    """Ctrl-C and SIGTERM ask; on Windows also Ctrl-Break, by which service managers stop a console program. Call it on
    the main thread."""

    def handler(number: int, frame: FrameType | None) -> None:
        stop.ask()

    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None:
            signal.signal(number, handler)
