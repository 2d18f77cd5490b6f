"""A few threads that work off a list, and end together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from kiss3d_backend.models.download.persist import check_cancel

POLL = 0.1
GRACE = 0.3
"""Seconds that work gets to end by itself after a cancel; its threads end with the process anyhow."""
GRACE_AFTER_ERROR = 3.0
"""The same after an error, when nobody waits for a quick end: what comes next finds no work still going on."""

Work = Callable[[threading.Event], object]


class Crew:
    """``parallel`` pieces of work at once. The first error, or ``cancel``, stops all of them."""

    def __init__(self, parallel: int, cancel: threading.Event) -> None:
        self.stop = threading.Event()
        self._parallel = parallel
        self._cancel = cancel
        self._work: SimpleQueue[Work] = SimpleQueue()
        self._aborts: list[Callable[[], None]] = []
        self._error: BaseException | None = None
        self._lock = threading.Lock()

    def add(self, work: Work, abort: Callable[[], None] = lambda: None) -> None:
        """``work`` gets the stop event. ``abort`` is called from another thread to end a wait for the network."""
        self._work.put(work)
        self._aborts.append(abort)

    def run(self, on_poll: Callable[[], None]) -> None:
        """Works until all is done; ``on_poll`` is called in this thread about ten times a second.

        Raises the first error of a piece of work, or :class:`JobCancelled`.
        """
        count = min(self._parallel, self._work.qsize())
        threads = [threading.Thread(target=self._work_off, daemon=True) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            while any(thread.is_alive() for thread in threads):
                if self._cancel.is_set() or self._error is not None:
                    break
                on_poll()
                _join(threads, POLL)
        finally:
            self._end(threads)
        check_cancel(self._cancel)
        if self._error is not None:
            raise self._error

    def _end(self, threads: list[threading.Thread]) -> None:
        self.stop.set()
        until = time.monotonic() + (GRACE if self._cancel.is_set() else GRACE_AFTER_ERROR)
        while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
            for abort in self._aborts:
                abort()
            _join(threads, 0.02)

    def _work_off(self) -> None:
        with suppress(Empty):
            while not self.stop.is_set():
                work = self._work.get_nowait()
                try:
                    work(self.stop)
                except BaseException as error:
                    with self._lock:
                        self._error = self._error or error
                    self.stop.set()


def _join(threads: list[threading.Thread], seconds: float) -> None:
    for thread in threads:
        if thread.is_alive():
            thread.join(seconds)
            return
