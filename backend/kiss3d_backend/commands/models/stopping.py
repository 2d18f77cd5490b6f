"""Being told to stop in the middle of gigabytes: by Ctrl-C, or by the end of stdin."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Generator
from types import FrameType


@contextlib.contextmanager
def stopped_by_user(*, until_stdin_closes: bool = False) -> Generator[threading.Event]:
    """An event that Ctrl-C sets; a second Ctrl-C ends the program in the ordinary way. For the main thread."""
    stop = threading.Event()

    def handler(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, handler)
    if until_stdin_closes:
        threading.Thread(target=_stop_when_stdin_closes, args=(stop,), daemon=True).start()
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _stop_when_stdin_closes(stop: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    stop.set()
