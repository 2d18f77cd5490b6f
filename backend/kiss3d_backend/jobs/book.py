"""The life of jobs: accepts, numbers, stores and ends them. Knows nothing of sockets and processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import attrs

from kiss3d_backend.clients.identity import OWNER, ClientIdentity
from kiss3d_backend.disk import DISK_ERRORS
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.inputs import inputs_of, store_inputs
from kiss3d_backend.jobs.queue import JobQueue
from kiss3d_backend.jobs.store import JobRecord, JobStore, StoredEvent, job_unknown
from kiss3d_protocol.errors import JobConflict, JobInterrupted, Kiss3DError, WorkerDied
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
    WarningRaised,
)
from kiss3d_protocol.payloads import Blob

MOST_ATTEMPTS = 3
"""A job that was interrupted so often is failed: it may be what brings workers or backends down."""

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
        self._interrupted: list[str] = []
        """Jobs that had begun: their turn comes before that of all that wait."""

    def get(self, job: str, client: ClientIdentity) -> JobRecord:
        """A job that is the client's business. Raises :class:`JobUnknown` for one that is not there and, in the same
        words, for one that is somebody else's."""
        record = self.store.find(job)
        if record is None or not client.may_use(record.owner):
            raise job_unknown()
        return record

    def submit(self, submit: Submit, blobs: Sequence[Blob], owner: ClientIdentity = OWNER) -> list[Posted]:
        """Accepts a job of ``owner`` once; nothing is posted for one that is known already.

        Raises :class:`JobConflict` for a known id with other content or of somebody else, :class:`QueueFull`
        and :class:`TooManyJobs`.
        """
        known = self.store.find(submit.job)
        if known is not None:
            same = known.params == submit.params and known.inputs.same_content(inputs_of(submit))
            if known.owner != owner.id or not same:
                raise JobConflict("This job id is in use for another picture or other settings.")
            return []
        self._queue.check_room(owner.id)
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
            place = len(self._interrupted) + self._queue.place_of_next(owner.id)
            posted = self._number(Posted(Queued(job=submit.job, position=place)))
        self._queue.add(submit.job, owner.id)
        return [posted]

    def take_next(self) -> JobRecord | None:
        """Starts the job whose turn it is, or returns None. The attempt is on the disk before it begins."""
        job = self._interrupted.pop(0) if self._interrupted else self._queue.take()
        if job is None:
            return None
        try:
            record = self.store.get(job)
            self.store.change_state(job, "running", started=self._clock(), attempts=record.attempts + 1)
            return self.store.get(job)
        except DISK_ERRORS:
            self._interrupted.insert(0, job)
            raise

    def cancel_waiting(self, job: str) -> list[Posted]:
        """Ends a job that waits for its turn; nothing for any other."""
        if job in self._interrupted:
            self._interrupted.remove(job)
        elif not self._queue.remove(job):
            return []
        try:
            return self.record(Posted(Cancelled(job=job)))
        except DISK_ERRORS:
            self._interrupted.append(job)
            raise

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
        now, ahead = self._clock(), len(self._interrupted)
        places = [
            *((job, place) for place, job in enumerate(self._interrupted)),
            *((job, ahead + place) for job, place in self._queue.positions()),
        ]
        return [Posted(Queued(job=job, position=place, time=now)) for job, place in places]

    def history(self, job: str, after: int) -> tuple[list[StoredEvent], Progress | None]:
        """The stored events after a number, and how far a running job is. Raises :class:`JobUnknown`."""
        self.store.get(job)
        return self.store.events_after(job, after), self._progress.get(job)

    def summaries(self, limit: int, client: ClientIdentity = OWNER) -> list[JobRecord]:
        """The newest jobs that are the client's business, a running one with its present fraction."""
        return [self._as_it_is(record) for record in self.store.newest(limit, None if client.admin else client.id)]

    def unfinished(self, client: ClientIdentity, limit: int) -> list[JobRecord]:
        """The client's jobs that run or wait here, the running one first."""
        found = self.store.unfinished_of(self._instance, None if client.admin else client.id, limit)
        return [self._as_it_is(record) for record in found]

    def counts(self) -> dict[str, int]:
        """How many jobs of this backend, of all clients, are in each state."""
        return self.store.counts(self._instance)

    def adopt(self, is_dead: Callable[[str], bool]) -> None:
        """Takes over the unfinished jobs of backends that have ended: waiting ones wait, interrupted ones go on."""
        for record in self.store.unfinished():
            if not is_dead(record.backend):
                continue
            self.store.update(record.job, backend=self._instance)
            if record.state == "running":
                self.interrupted(record.job, WorkerDied("The backend was stopped in the middle of the job."))
            else:
                self._queue.add(record.job, record.owner)

    def interrupted(self, job: str, why: Kiss3DError) -> list[Posted]:
        """The job's worker or backend has died: it goes on next, from the last step that was kept, or is failed when
        this was its last attempt (:data:`MOST_ATTEMPTS`)."""
        attempts = self.store.get(job).attempts
        if attempts >= MOST_ATTEMPTS:
            end = JobInterrupted(f"The job was interrupted {attempts} times and is given up. {why.message}")
            return self.record(Posted(Failed(job=job, code=end.code, message=end.message, remedy=end.remedy)))
        note = f"{why.message} It goes on from the last step that was kept, attempt {attempts + 1} of {MOST_ATTEMPTS}."
        with self.store.transaction():
            self.store.change_state(job, "queued")
            posted = self._number(Posted(WarningRaised(job=job, code=why.code, message=note)))
        self._progress.pop(job, None)
        self._interrupted.append(job)
        return [posted]

    def put_back(self, job: str) -> None:
        """The job is stopped by a backend that ends as it should: it waits again, and the attempt does not count."""
        record = self.store.get(job)
        if record.state == "running":
            self.store.change_state(job, "queued", attempts=record.attempts - 1)

    def abandon(self) -> None:
        """Cancels every unfinished job of this backend: nobody will come back for them."""
        for record in self.store.unfinished():
            if record.backend == self._instance:
                self.record(Posted(Cancelled(job=record.job)))

    def _as_it_is(self, record: JobRecord) -> JobRecord:
        progress = self._progress.get(record.job)
        return record if progress is None else attrs.evolve(record, fraction=progress.fraction)

    def _number(self, posted: Posted) -> Posted:
        number = self.store.get(posted.event.job).last_number + 1
        event = attrs.evolve(posted.event, number=number, time=self._clock())
        envelope = bytes(encode(event)[1])
        self.store.add_event(event.job, StoredEvent(number, envelope, posted.artifacts))
        return Posted(event, posted.artifacts)
