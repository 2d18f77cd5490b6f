"""The life of jobs: accepts, numbers, stores and ends them. Knows nothing of sockets and processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import attrs

from kiss3d_backend.clients.identity import OWNER, ClientIdentity
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.inputs import inputs_of, store_inputs
from kiss3d_backend.jobs.queue import JobQueue
from kiss3d_backend.jobs.store import JobRecord, JobStore, StoredEvent, job_unknown
from kiss3d_protocol.errors import JobConflict, WorkerDied
from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import (
    Cancelled,
    Failed,
    Finished,
    JobEvent,
    Progress,
    Queued,
    StageStarted,
    Submit,
)
from kiss3d_protocol.payloads import Blob

MOST_ATTEMPTS = 3

JobEnd = Finished | Failed | Cancelled


@attrs.frozen
class Posted:
    """An event on its way to clients. ``artifacts`` are its blobs, in order."""

    event: JobEvent
    artifacts: tuple[str, ...] = ()


class JobBook:
    """All jobs of one backend ``instance``. Methods return the events that have to be told to clients.

    ``ended``: told of every job that has ended, before its last event is returned.
    """

    def __init__(
        self,
        store: JobStore,
        artifacts: Artifacts,
        instance: str,
        *,
        queue: JobQueue | None = None,
        ended: Callable[[JobRecord, JobEnd], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.artifacts = artifacts
        self._instance = instance
        self._queue = JobQueue() if queue is None else queue
        self._ended = ended
        self._clock = clock
        self._progress: dict[str, Progress] = {}

    def get(self, job: str, client: ClientIdentity) -> JobRecord:
        """A job that is the client's business. Raises :class:`JobUnknown` for one that is not there and, in the same
        words, for one that is somebody else's."""
        record = self.store.find(job)
        if record is None or not client.may_use(record.owner):
            raise job_unknown()
        return record

    def submit(self, submit: Submit, blobs: Sequence[Blob], owner: ClientIdentity = OWNER) -> list[Posted]:
        """Accepts a job of ``owner`` once; nothing is posted for one that is known already.

        Raises :class:`JobConflict` for a known id with other content or of somebody else, and :class:`QueueFull`.
        """
        known = self.store.find(submit.job)
        if known is not None:
            same = known.params == submit.params and known.inputs.same_content(inputs_of(submit))
            if known.owner != owner.id or not same:
                raise JobConflict("This job id is in use for another picture or other settings.")
            return []
        self._queue.check_room()
        inputs = store_inputs(submit, blobs, self.artifacts)
        now = self._clock()
        record = JobRecord(
            job=submit.job,
            name=submit.name,
            state="queued",
            params=submit.params,
            inputs=inputs,
            backend=self._instance,
            attempts=0,
            created=now,
            started=None,
            finished=None,
            stage="",
            fraction=0.0,
            last_number=0,
            error="",
            owner=owner.id,
        )
        with self.store.transaction():
            self.store.add(record)
            posted = self._number(Posted(Queued(job=submit.job, position=len(self._queue))))
        self._queue.add(submit.job)
        return [posted]

    def take_next(self) -> JobRecord | None:
        """Starts the job whose turn it is, or returns None."""
        job = self._queue.take()
        if job is None:
            return None
        record = self.store.get(job)
        self.store.change_state(job, "running", started=self._clock(), attempts=record.attempts + 1)
        return self.store.get(job)

    def cancel_waiting(self, job: str) -> list[Posted]:
        """Ends a job that has not begun; nothing for any other."""
        return self.record(Posted(Cancelled(job=job))) if self._queue.remove(job) else []

    def record(self, posted: Posted) -> list[Posted]:
        """Takes an event of a job: numbers and stores it, changes the state.

        Events of a job that has ended already are dropped: the first end counts.
        """
        event = posted.event
        job = event.job
        if isinstance(event, Progress):
            event = attrs.evolve(event, time=self._clock())
            self._progress[job] = event
            return [Posted(event)]
        if self.store.get(job).ended:
            return []
        fraction = self._progress[job].fraction if job in self._progress else 0.0
        with self.store.transaction():
            match event:
                case StageStarted():
                    self.store.update(job, stage=event.stage, fraction=fraction)
                case Finished():
                    self.store.change_state(job, "finished", finished=self._clock(), fraction=1.0)
                case Failed():
                    self.store.change_state(job, "failed", finished=self._clock(), error=event.code, fraction=fraction)
                case Cancelled():
                    self.store.change_state(job, "cancelled", finished=self._clock(), fraction=fraction)
                case _:
                    pass
            numbered = self._number(posted)
        if isinstance(event, Finished | Failed | Cancelled):
            self._progress.pop(job, None)
            if self._ended is not None:
                self._ended(self.store.get(job), event)
        return [numbered]

    def positions(self) -> list[Posted]:
        """A passing event for each waiting job: its place in the queue now."""
        now = self._clock()
        return [Posted(Queued(job=job, position=place, time=now)) for job, place in self._queue.positions()]

    def history(self, job: str, after: int) -> tuple[list[StoredEvent], Progress | None]:
        """The stored events after a number, and how far a running job is. Raises :class:`JobUnknown`."""
        self.store.get(job)
        return self.store.events_after(job, after), self._progress.get(job)

    def summaries(self, limit: int, client: ClientIdentity = OWNER) -> list[JobRecord]:
        """The newest jobs that are the client's business, a running one with its present fraction."""
        return [
            attrs.evolve(record, fraction=self._progress[record.job].fraction)
            if record.job in self._progress
            else record
            for record in self.store.newest(limit, None if client.admin else client.id)
        ]

    def adopt(self, is_dead: Callable[[str], bool]) -> None:
        """Takes over the unfinished jobs of backends that have ended: waiting ones wait, interrupted ones wait again.

        A job that was interrupted :data:`MOST_ATTEMPTS` times is failed: it may be what brings backends down.
        """
        for record in self.store.unfinished():
            if not is_dead(record.backend):
                continue
            self.store.update(record.job, backend=self._instance)
            if record.state == "running" and record.attempts >= MOST_ATTEMPTS:
                died = WorkerDied(f"The backend stopped {record.attempts} times while it worked on this job.")
                self.record(Posted(Failed(job=record.job, code=died.code, message=died.message, remedy=died.remedy)))
                continue
            if record.state == "running":
                self.store.change_state(record.job, "queued")
            self._queue.add(record.job)

    def abandon(self) -> None:
        """Cancels every unfinished job of this backend: nobody will come back for them."""
        for record in self.store.unfinished():
            if record.backend == self._instance:
                self._queue.remove(record.job)
                self.record(Posted(Cancelled(job=record.job)))

    def _number(self, posted: Posted) -> Posted:
        number = self.store.get(posted.event.job).last_number + 1
        event = attrs.evolve(posted.event, number=number, time=self._clock())
        envelope = bytes(encode(event)[1])
        self.store.add_event(event.job, StoredEvent(number, envelope, posted.artifacts))
        return Posted(event, posted.artifacts)


def load_blobs(artifacts: Artifacts, names: Sequence[str]) -> list[bytes]:
    """The blobs of an event. Raises :class:`ArtifactLost`."""
    return [artifacts.read(name) for name in names]
