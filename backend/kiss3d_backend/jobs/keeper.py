"""How long jobs are kept, and what goes with them: their record, their events, their blobs, their folder."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import frozen

from kiss3d_backend.config import DataDir
from kiss3d_backend.disk import DISK_ERRORS
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.reserve import DiskReserve
from kiss3d_backend.jobs.store import JobStore
from kiss3d_backend.whole_file import sweep_parts
from kiss3d_protocol.errors import JobNotEnded

_log = logging.getLogger(__name__)

DAY = 86400.0
GIGABYTE = 10**9
FRESH_SECONDS = 3600.0
"""A job that ended so recently stays, also over the limit: its client must have time to get the result."""

TICK_SECONDS = 30.0


@frozen
class Keeping:
    """Ended jobs go after so many days, and the oldest ones as soon as all take more than so many gigabytes (10^9)."""

    days: float = 30.0
    gigabytes: float = 20.0


class Keeper:
    """Deletes jobs of a data directory that somebody does not want any more, or that have been there for too long.

    Only ever jobs that have ended, of whichever backend. First a job's record goes, in one transaction; what a kill
    leaves behind after that belongs to nobody, and :meth:`sweep` finds it.
    """

    def __init__(self, data: DataDir, store: JobStore, clock: Callable[[], float] = time.time) -> None:
        self._data = data
        self._store = store
        self._artifacts = Artifacts(data.artifacts)
        self.reserve = DiskReserve(data.reserve)
        self._clock = clock
        self._loose: set[str] = set()
        self._next_tick = 0.0
        self._due = True

    @property
    def keeping(self) -> Keeping:
        """What was said last to any backend of this directory, or the default."""
        said = self._store.keeping()
        return Keeping() if said is None else Keeping(*said)

    def set_keeping(self, days: float | None, gigabytes: float | None) -> None:
        """Changes what is given. Raises :class:`sqlite3.Error`."""
        if days is None and gigabytes is None:
            return
        before = self.keeping
        self._store.set_keeping(
            before.days if days is None else days, before.gigabytes if gigabytes is None else gigabytes
        )

    def job_ended(self) -> None:
        """There may be too much now."""
        self._due = True

    def tick(self) -> None:
        """Does what is due. A disk that does not work at the moment is only noted."""
        now = self._clock()
        if not self._due and now < self._next_tick:
            return
        try:
            if self._due:
                self.expire()
            self._discard_loose()
            self.reserve.fill()
        except DISK_ERRORS as error:
            _log.warning("old jobs cannot be deleted at the moment: %s", error)
        self._due, self._next_tick = False, now + TICK_SECONDS

    def expire(self) -> list[str]:
        """Deletes what has been there for too long or is too much; returns the jobs. Raises what a disk raises."""
        for job in self._store.unmeasured():
            self._store.update(job, bytes=self._measure(job))
        keeping, now = self.keeping, self._clock()
        ended = self._store.ended()
        too_much = sum(each.bytes for each in ended) - keeping.gigabytes * GIGABYTE
        gone: list[str] = []
        for each in ended:
            age = now - each.finished
            if age < keeping.days * DAY and (too_much <= 0 or age < FRESH_SECONDS):
                break
            self.delete(each.job)
            too_much -= each.bytes
            gone.append(each.job)
            _log.info("job %s: deleted, it ended %.1f days ago", each.job, age / DAY)
        return gone

    def delete(self, job: str) -> None:
        """Deletes a job that has ended. Raises :class:`JobUnknown`, :class:`JobNotEnded` and what a disk raises."""
        try:
            names = self._forget(job)
        except DISK_ERRORS:
            # On a full disk even forgetting takes room for a moment.
            self.reserve.release()
            names = self._forget(job)
        shutil.rmtree(self._data.reports / job, ignore_errors=True)
        self._loose.update(names)
        self._discard_loose()

    def sweep(self) -> None:
        """Deletes what belongs to no job: half-written files, and what killed processes left. For the start."""
        with contextlib.suppress(OSError):
            folders = (self._data.artifacts, self._data.reports, self._data.checkpoints)
            parts = sum(sweep_parts(folder) for folder in folders)
            self._loose.update(name for name in self._artifacts.names() if not self._store.is_needed(name))
            found = len(self._loose)
            self._discard_loose()
            if parts or found:
                _log.info("swept %d half-written files and %d blobs of no job", parts, found)
            for folder in self._data.reports.glob("*"):
                if self._store.find(folder.name) is None and self._is_old(folder, FRESH_SECONDS):
                    shutil.rmtree(folder, ignore_errors=True)
            for path in self._data.checkpoints.glob("*.safetensors"):
                if self._is_old(path, self.keeping.days * DAY):
                    path.unlink(missing_ok=True)

    def _forget(self, job: str) -> list[str]:
        with self._store.transaction():
            if not self._store.get(job).ended:
                raise JobNotEnded("The job has not ended yet.")
            names = self._store.blobs_of(job)
            self._store.delete(job)
        return names

    def _discard_loose(self) -> None:
        # Another job may need the same blob by now.
        for name in list(self._loose):
            if self._store.is_needed(name) or self._artifacts.discard(name):
                self._loose.remove(name)

    def _measure(self, job: str) -> int:
        folder = self._data.reports / job
        blobs = (self._artifacts.path(name) for name in self._store.blobs_of(job))
        return _bytes_of(blobs) + _bytes_of(folder.glob("*"))

    def _is_old(self, path: Path, seconds: float) -> bool:
        try:
            return self._clock() - path.stat().st_mtime > seconds
        except OSError:
            return False


def _bytes_of(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
