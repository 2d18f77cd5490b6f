"""Many results from one backend, a few jobs at a time, each kept as soon as it has come (no bpy)."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from attrs import frozen

from kiss3d_protocol.batch.manifest import Entry, Manifest
from kiss3d_protocol.errors import JobCancelled, JobConflict, Kiss3DError, QueueFull, StageFailed, TooManyJobs
from kiss3d_protocol.messages import new_job_id

from ..connection import BackendTarget
from ..importer.kept import Kept
from ..job import Job
from ..job_inputs import JobInputs
from ..job_monitor import JobMonitor
from ..job_state import JobState, Phase
from ..waiting import PAUSE_SECONDS, Patience
from .display import Display
from .items import Item

LOST_SECONDS = 600.0
"""A batch runs over night: a network may be away for a while."""
CANCEL_SECONDS = 5.0
FULL_SECONDS = 2.0
"""Until a job is offered again to a backend whose queue was full."""


class Output(Protocol):
    """Where results go. ``save_seconds``: how long results may be kept in memory before :meth:`save`."""

    save_seconds: float

    def has(self, entry: Entry) -> bool:
        """Whether the result of a finished entry is still there."""
        ...

    def lay_out(self, names: Sequence[str]) -> None:
        """Says in which order results stand; those with other names stay where they are."""
        ...

    def target(self, job: str, name: str, title: str) -> Any:
        """Where the result of a job is to come; ``name`` and ``title`` as an :class:`Item` has them."""
        ...

    def keep(self, name: str, job: Job) -> Kept:
        """Takes a finished result, which stands at the job's target. Raises a :class:`Kiss3DError`."""
        ...

    def drop(self, target: Any) -> None:
        """Takes away what was made for a result that never came."""
        ...

    def save(self) -> None:
        """Has everything that was kept on the disk when it returns. Raises a :class:`Kiss3DError`."""
        ...


def watcher(display: Display, target: Any) -> Callable[[JobState], None]:
    """Shows a job's states, and gives the newest of its pictures to the target, as a preview of the result."""

    def changed(state: JobState) -> None:
        display.show(state)
        if state.previews:
            target.preview = state.previews[-1][1].data

    return changed


@frozen
class _Running:
    """``mine``: its job was named by this run, not by one before."""

    item: Item
    digest: str
    mine: bool
    job: Job


class Runner:
    """Submits what is missing and follows it. Call it on the thread that owns the monitor."""

    def __init__(
        self,
        monitor: JobMonitor,
        backend: BackendTarget,
        manifest: Manifest,
        output: Output,
        display: Display,
        *,
        jobs: int,
        fail_fast: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monitor, self._backend = monitor, backend
        self._manifest, self._output, self._display = manifest, output, display
        self._jobs, self._fail_fast, self._clock = jobs, fail_fast, clock
        self._todo: deque[Item] = deque()
        self._running: list[_Running] = []
        self._unsaved: list[Entry] = []
        self._saved_at = clock()
        self._offer_at = 0.0

    def run(self, items: Iterable[Item]) -> None:
        """Makes the items; those that fail are in the manifest, and with ``fail_fast`` the first one's error is raised.

        Raises what stands in the way of all of them: a :class:`ConnectionFailed`, :class:`BackendError` or
        :class:`OutputUnwritable`. However it ends, what had come by then is on the disk.
        """
        self._todo.extend(items)
        patience = Patience(self._monitor.connect(self._backend), LOST_SECONDS)
        try:
            while self._todo or self._running:
                self._offer()
                if not self._monitor.poll():
                    time.sleep(PAUSE_SECONDS)
                # Before the jobs are looked at: a lost backend is no fault of theirs.
                if (reason := patience.exhausted()) is not None:
                    raise reason
                for running in [one for one in self._running if one.job.settled]:
                    self._running.remove(running)
                    self._settled(running)
                if self._unsaved and self._clock() - self._saved_at >= self._output.save_seconds:
                    self._save()
        except BaseException:
            self._cancel()
            raise
        finally:
            self._save()

    def _offer(self) -> None:
        while self._todo and len(self._running) < self._jobs and self._clock() >= self._offer_at:
            item = self._todo.popleft()
            digest = item.digest()
            target = None
            try:
                inputs = None if item.take is None else item.take()
                id, mine = self._job_of(item, digest)
                target = self._output.target(id, item.name, item.title)
                self._manifest.write(Entry(name=item.name, digest=digest, state="submitted", job=id))
                self._running.append(_Running(item, digest, mine, self._start(item, inputs, target)))
            except Kiss3DError as error:
                if target is not None:
                    self._output.drop(target)
                self._failed(item, digest, "", error)
            except BaseException:
                # Ctrl-C, after the job was named and before it is one of those that run.
                if target is not None:
                    self._undo(target)
                raise

    def _undo(self, target: Any) -> None:
        begun = self._monitor.jobs.get(target.job)
        if begun is not None:
            self._monitor.cancel(begun)
        self._output.drop(target)

    def _job_of(self, item: Item, digest: str) -> tuple[str, bool]:
        """The job's id, and whether it is new.

        One that an earlier run has named may be finished by now: the same id asks for it, and makes none twice.
        """
        if item.take is None:
            return item.job, True
        before = self._manifest.entries.get(item.name)
        if before is not None and before.digest == digest and before.state in ("submitted", "finished") and before.job:
            return before.job, False
        return new_job_id(), True

    def _start(self, item: Item, inputs: JobInputs | None, target: Any) -> Job:
        watch = watcher(self._display, target)
        if inputs is None:
            return self._monitor.follow(self._backend, target, item.params, item.recipe, watch, only_final=True)
        target.pictures = inputs.pictures
        return self._monitor.submit(self._backend, inputs, item.params, target, watch, only_final=True)

    def _settled(self, running: _Running) -> None:
        state = running.job.state
        self._monitor.dismiss(running.job)
        self._display.forget(running.job.id)
        if state.phase is Phase.FINISHED:
            try:
                self._keep(running)
            except Kiss3DError as error:
                self._failed(running.item, running.digest, running.job.id, error)
            return
        self._output.drop(running.job.target)
        error = state.error or JobCancelled("The job was cancelled.")
        if isinstance(error, QueueFull | TooManyJobs):
            self._offer_at = self._clock() + FULL_SECONDS
            self._again(running)
        elif isinstance(error, JobCancelled | JobConflict) and not running.mine:
            # It ended with the run that had named it, or was another's.
            self._again(running)
        else:
            self._failed(running.item, running.digest, running.job.id, error)

    def _keep(self, running: _Running) -> None:
        report = running.job.state.report
        if report is None:
            raise StageFailed("The backend finished the job without a report.")
        kept = self._output.keep(running.item.name, running.job)
        entry = Entry(
            name=running.item.name,
            digest=running.digest,
            state="finished",
            job=running.job.id,
            output=kept.output,
            seconds=round(report.seconds, 3),
            triangles=kept.triangles,
        )
        self._unsaved.append(entry)
        self._display.ended(entry)

    def _again(self, running: _Running) -> None:
        self._manifest.write(
            Entry(name=running.item.name, digest=running.digest, state="cancelled", job=running.job.id)
        )
        self._todo.appendleft(running.item)

    def _failed(self, item: Item, digest: str, job: str, error: Kiss3DError) -> None:
        told = {"code": error.code, "message": error.message, "remedy": error.remedy}
        entry = Entry(name=item.name, digest=digest, state="failed", job=job, error=told)
        self._manifest.write(entry)
        self._display.ended(entry, error)
        if self._fail_fast:
            raise error

    def _save(self) -> None:
        if self._unsaved:
            self._output.save()
            # Only what is on the disk is told of as finished.
            while self._unsaved:
                self._manifest.write(self._unsaved.pop(0))
        self._saved_at = self._clock()

    def _cancel(self) -> None:
        """Ends what is with the backend, and keeps what had ended by then."""
        for running in self._running:
            if not running.job.state.ended:
                self._monitor.cancel(running.job)
        deadline = self._clock() + CANCEL_SECONDS
        while any(not one.job.settled for one in self._running) and self._clock() < deadline:
            if not self._monitor.poll():
                time.sleep(PAUSE_SECONDS)
        for running in self._running:
            if running.job.state.phase is Phase.FINISHED and running.job.settled:
                self._settled(running)
            else:
                self._output.drop(running.job.target)
