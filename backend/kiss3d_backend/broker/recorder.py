"""Stores what happens to jobs, also when the disk does not take it at the moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from kiss3d_backend.disk import DISK_ERRORS, disk_error
from kiss3d_backend.jobs.book import JobBook, Posted
from kiss3d_backend.jobs.reserve import DiskReserve
from kiss3d_backend.jobs.store import JobRecord
from kiss3d_backend.worker.supervisor import Interrupted
from kiss3d_protocol.messages import TERMINAL_EVENTS, Failed, Progress

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0

Act = Callable[[], list[Posted]]


class Recorder:
    """Between the worker's words and the book. ``stop`` ends a job at the worker.

    An event that cannot be stored must not be told either, as its number would be given again. So its job ends: with
    an error that names the disk, stored with the help of the reserve, or else as soon as there is room.
    """

    def __init__(
        self,
        book: JobBook,
        reserve: DiskReserve,
        stop: Callable[[str], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._book = book
        self._reserve = reserve
        self._stop = stop
        self._clock = clock
        self._due: dict[str, Act] = {}
        self._pause_until = clock()

    def record(self, posted: Posted) -> list[Posted]:
        """Takes an event of a job; returns what clients have to be told."""
        event = posted.event
        if event.job in self._due:
            return []
        if isinstance(event, (Progress, *TERMINAL_EVENTS)):
            return self._store(event.job, lambda: self._book.record(posted))
        try:
            return self._book.record(posted)
        except DISK_ERRORS as error:
            self._stop(event.job)
            named = disk_error(error)
            failed = Failed(job=event.job, code=named.code, message=named.message, remedy=named.remedy)
            return self._later(event.job, lambda: self._book.record(Posted(failed)), error)

    def interrupted(self, interruption: Interrupted) -> list[Posted]:
        """The worker died in the middle of a job."""
        job = interruption.job
        if job in self._due:
            return []
        return self._store(job, lambda: self._book.interrupted(job, interruption.why))

    def take_next(self) -> JobRecord | None:
        """Starts the next job; none while the disk takes nothing."""
        if self._due or self._clock() < self._pause_until:
            return None
        try:
            return self._book.take_next()
        except DISK_ERRORS as error:
            self._wait(error)
            return None

    def tick(self) -> list[Posted]:
        """Stores what is due, if it can be stored by now."""
        if not self._due or self._clock() < self._pause_until:
            return []
        return self._store_due()

    def _store(self, job: str, act: Act) -> list[Posted]:
        try:
            return act()
        except DISK_ERRORS as error:
            return self._later(job, act, error)

    def _later(self, job: str, act: Act, error: Exception) -> list[Posted]:
        _log.error("job %s: something cannot be stored: %s", job, error)
        self._due[job] = act
        self._reserve.release()
        return self._store_due()

    def _store_due(self) -> list[Posted]:
        stored: list[Posted] = []
        for job, act in list(self._due.items()):
            try:
                stored += act()
            except DISK_ERRORS as error:
                self._wait(error)
                break
            del self._due[job]
        return stored

    def _wait(self, error: Exception) -> None:
        _log.warning("nothing can be stored at the moment: %s", error)
        self._pause_until = self._clock() + PAUSE_SECONDS
