"""The one pull that may run: who wants what, and what its process tells. Owns no session and no socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from kiss3d_backend.models.pull_process import STOP_SECONDS, PullNotice
from kiss3d_protocol.errors import Kiss3DError
from kiss3d_protocol.messages import PullMessage
from kiss3d_protocol.models import PullCancelled, PullFailed, PullFinished, PullProgress


class Pulling(Protocol):
    """A process that gets files; see :class:`kiss3d_backend.models.pull_process.PullProcess`."""

    start: int

    def ask_to_stop(self) -> None: ...

    def kill(self) -> None: ...

    def close(self) -> None: ...


class Pulls:
    """``spawn`` starts a process that gets the named entries, given a number that its notices carry.

    What is asked for while one runs is got by another process right after it, and all of it is one pull to clients.
    """

    def __init__(
        self, spawn: Callable[[Sequence[str], int], Pulling], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._spawn = spawn
        self._clock = clock
        self._process: Pulling | None = None
        self._starts = 0
        self._entries: list[str] = []
        self._waiting: list[str] = []
        self._last: PullProgress | None = None
        self._kill_at: float | None = None
        self._outcome: PullMessage | None = None

    @property
    def entries(self) -> tuple[str, ...]:
        """What the pull that runs gets; empty when none runs."""
        return tuple(self._entries)

    @property
    def last(self) -> PullProgress | None:
        """How far it is, for somebody who joins."""
        return self._last

    def ask(self, names: Sequence[str]) -> None:
        """Starts a pull of these entries, or has the one that runs get them too.

        Raises :class:`ModelDownloadFailed` when no process can be started.
        """
        new = [name for name in names if name not in self._entries]
        if self._process is not None:
            self._entries += new
            self._waiting += new
            return
        self._start(new)
        self._entries = new

    def cancel(self) -> bool:
        """Asks the process to stop; False when none runs. :meth:`tick` makes sure of it."""
        if self._process is None:
            return False
        self._waiting.clear()
        if self._kill_at is None:
            self._kill_at = self._clock() + STOP_SECONDS
            self._process.ask_to_stop()
        return True

    def tick(self) -> None:
        """Ends a process that does not stop when it is asked to."""
        if self._process is not None and self._kill_at is not None and self._clock() > self._kill_at:
            self._process.kill()

    def hear(self, notice: PullNotice) -> PullMessage | None:
        """Takes a notice of the process; returns what followers have to be told."""
        if self._process is None or notice.start != self._process.start:
            return None
        message = notice.message
        if message is None:
            return self._ended()
        if isinstance(message, PullProgress):
            self._last = message
            return message
        if self._kill_at is not None and not isinstance(message, PullFinished):
            # However the process ended when it was asked to, that is what was wanted.
            message = PullCancelled()
        self._outcome = message
        return None

    def close(self) -> None:
        """Ends what runs."""
        if self._process is not None:
            self._process.close()

    def _start(self, names: Sequence[str]) -> None:
        self._starts += 1
        self._process = self._spawn(names, self._starts)
        self._outcome = self._kill_at = None

    def _ended(self) -> PullMessage | None:
        outcome, self._process = self._outcome, None
        if isinstance(outcome, PullFinished):
            outcome = PullFinished(self.entries)
            if self._waiting and self._kill_at is None:
                more, self._waiting = self._waiting, []
                try:
                    self._start(more)
                    return None
                except Kiss3DError as error:
                    outcome = PullFailed(error.code, error.message, error.remedy)
        self._entries, self._waiting, self._last, self._kill_at = [], [], None, None
        return outcome
