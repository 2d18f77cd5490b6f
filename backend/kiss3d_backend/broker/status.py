"""How a backend is, for people, for programs that watch it, and for metrics."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from kiss3d_backend import __version__
from kiss3d_backend.broker.disk_use import DiskUse
from kiss3d_backend.broker.sessions import Sessions
from kiss3d_backend.clients.identity import ClientIdentity
from kiss3d_backend.devices.probe import probe_device
from kiss3d_backend.executor.affinity import SlotState
from kiss3d_backend.executor.executor import Executor
from kiss3d_backend.jobs.book import JobBook
from kiss3d_backend.worker.supervisor import WorkerState
from kiss3d_protocol.errors import DataDirectoryUnusable, DiskFull, Kiss3DError
from kiss3d_protocol.messages import Connection, Status, WarningNote, WorkerStatus

MOST_JOBS = 100
MOST_CONNECTIONS = 256
MOST_WORKERS = 64
"""With names of the greatest length, these many of each still fit into one message."""
LITTLE_ROOM = 2 * 2**30
"""A job of the largest preset keeps about half a GiB: with less than this, disks are full by tomorrow."""


class StatusDesk:
    """Asks everybody what there is to be told. ``stopping`` is set when the backend has been told to stop."""

    def __init__(
        self,
        instance: str,
        root: Path,
        book: JobBook,
        executor: Executor,
        sessions: Sessions,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stopping = False
        self._instance = instance
        self._root = root
        self._book = book
        self._executor = executor
        self._sessions = sessions
        self._clock = clock
        self._started = clock()
        self._disk = DiskUse(root)
        self._disk.known()

    def status(self, asker: ClientIdentity) -> Status:
        """As things stand now, with what is the asking client's business. A few milliseconds."""
        now = self._clock()
        counts = self._book.counts()
        disk_free, problems = self._room()
        problems += self._executor.problems
        slots = self._executor.slots()
        connections = (
            Connection(session.owner.name, session.client, max(now - session.opened, 0.0)) for session in self._sessions
        )
        jobs = tuple(record.summary() for record in self._book.unfinished(asker, MOST_JOBS))
        own = {job.job for job in jobs}
        return Status(
            server=f"kiss3d/{__version__}",
            instance=self._instance,
            uptime_seconds=max(now - self._started, 0.0),
            stopping=self.stopping,
            worker=_condition(slots).value,
            running=counts.get("running", 0),
            waiting=counts.get("queued", 0),
            clients=len(self._sessions),
            device=probe_device(),
            memory=_own_memory() + sum(slot.alive.memory for slot in slots if slot.alive is not None),
            disk_used=self._disk.known(),
            disk_free=disk_free,
            problems=tuple(WarningNote(each.code, each.message, each.remedy) for each in problems),
            jobs=jobs,
            connections=tuple(itertools.islice(connections, MOST_CONNECTIONS)) if asker.admin else (),
            workers=tuple(_worker_status(slot, own) for slot in slots[:MOST_WORKERS]),
        )

    def _room(self) -> tuple[int, list[Kiss3DError]]:
        try:
            free = shutil.disk_usage(self._root).free
        except OSError as error:
            return 0, [DataDirectoryUnusable(f"The data directory cannot be used ({error.strerror}).")]
        little = DiskFull(f"Only {free / 1e9:.1f} GB are free for jobs and results.")
        return free, [little] if free < LITTLE_ROOM else []


def _condition(slots: Sequence[SlotState]) -> WorkerState:
    """Of all workers in one word: what the busiest of them does."""
    found = {slot.state for slot in slots}
    busiest = (WorkerState.BUSY, WorkerState.IDLE, WorkerState.STARTING, WorkerState.STOPPED)
    return next((state for state in busiest if state in found), WorkerState.STOPPED)


def _worker_status(slot: SlotState, own: set[str]) -> WorkerStatus:
    """As a client may know it whose business are the jobs ``own``."""
    return WorkerStatus(
        name=slot.slot,
        condition=slot.state.value,
        device=slot.alive.device if slot.alive else None,
        memory=slot.alive.memory if slot.alive else 0,
        networks=tuple(sorted(slot.loaded)),
        job=slot.job if slot.job in own else None,
    )


def _own_memory() -> int:
    """Bytes of this process that are resident."""
    return int(psutil.Process().memory_info().rss)
