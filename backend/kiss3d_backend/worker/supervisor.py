"""Keeps one worker alive: launches it, watches it, kills it, launches it again. Imports no torch.

How a worker is launched is :mod:`kiss3d_backend.worker.process`'s business. What it says comes on other threads, and is
put as :class:`Notice` objects where the broker's loop takes them; everything else happens on the broker's thread, in
:meth:`Supervisor.handle` and :meth:`Supervisor.tick`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from enum import Enum

import attrs

from kiss3d_backend.config import WorkerLimits
from kiss3d_backend.worker.messages import (
    CancelJob,
    ChooseBundles,
    FromWorker,
    StartJob,
    WorkerAlive,
    WorkerEvent,
    WorkerNetworks,
    WorkerReady,
)
from kiss3d_backend.worker.process import Ended, Launch, WorkerProcess
from kiss3d_protocol.errors import (
    BackendStartFailed,
    JobNotWaiting,
    Kiss3DError,
    OutOfMemory,
    ParamsInvalid,
    WorkerDied,
    WorkerHung,
)
from kiss3d_protocol.messages import TERMINAL_EVENTS, BundlesReady, Cancelled, Failed

_log = logging.getLogger(__name__)

RESTART_PAUSES = (0.0, 0.0, 1.0, 5.0, 30.0)
"""Seconds before the n-th start in a row that did not get as far as ready."""


class WorkerState(Enum):
    """Where the worker stands. STOPPED: none runs; one may be started later."""

    STOPPED = "stopped"
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"


@attrs.frozen
class Notice:
    """Something that a worker said. ``slot``: whose supervisor it is for; ``start`` counts the workers of that slot."""

    slot: str
    start: int
    message: FromWorker | Ended


@attrs.frozen
class Interrupted:
    """The worker died in the middle of this job, of itself or by somebody else's hand."""

    job: str
    why: WorkerDied


Told = WorkerEvent | Interrupted
"""What a worker means for a job."""


@attrs.define
class _Job:
    """``choosing``: of how many bundles it waits for a choice. ``chosen``: the choice that it was last given."""

    start: StartJob
    last_event: float
    kill_at: float | None = None
    choosing: int | None = None
    chosen: tuple[int, ...] | None = None


@attrs.define(eq=False)
class _Process:
    """One worker and what is known of it. ``killed``: by us; ``blame``: what for, None when the job is not to blame."""

    worker: WorkerProcess
    start: int
    started: float
    last_heard: float
    killed: bool = False
    blame: Kiss3DError | None = None


class Supervisor:
    """The worker of one slot. ``notify`` is called on other threads; hand its notices to :meth:`handle`.

    ``alive``: the last heartbeat of the present worker. ``networks``: what it said of them last.
    """

    def __init__(
        self,
        slot: str,
        launch: Launch,
        notify: Callable[[Notice], None],
        limits: WorkerLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slot = slot
        self.state = WorkerState.STOPPED
        self.ready: WorkerReady | None = None
        self.alive: WorkerAlive | None = None
        self.networks = WorkerNetworks((), ())
        self._launch = launch
        self._notify = notify
        self._limits = WorkerLimits() if limits is None else limits
        self._clock = clock
        self._process: _Process | None = None
        self._job: _Job | None = None
        self._starts = 0
        self._failed_starts = 0
        self._start_at = clock()
        self._closing = False

    @property
    def running(self) -> StartJob | None:
        """The job that runs, if any, as it was given."""
        return self._job.start if self._job else None

    @property
    def job(self) -> str | None:
        """The id of the job that runs, if any."""
        return self._job.start.job if self._job else None

    @property
    def start_problem(self) -> BackendStartFailed | None:
        """Why no worker can be had, once it has failed to start several times in a row."""
        if self._failed_starts < len(RESTART_PAUSES) - 1:
            return None
        return BackendStartFailed("The backend's worker process does not start; its log says why.")

    def run(self, start: StartJob) -> None:
        """Gives the idle worker a job."""
        if self.state is not WorkerState.IDLE:
            raise RuntimeError(f"a {self.state.value} worker cannot take a job")
        self.state, self._job = WorkerState.BUSY, _Job(start, self._clock())
        self._say(start)

    def cancel(self, job: str) -> bool:
        """Stops the job if it runs here; its end comes as an event within ``limits.cancel`` seconds."""
        if self._job is None or self._job.start.job != job:
            return False
        if self._job.kill_at is None:
            self._job.kill_at = self._clock() + self._limits.cancel
            self._say(CancelJob(job))
        return True

    def choose(self, job: str, indices: tuple[int, ...]) -> None:
        """Tells the job which bundles to go on with. The same choice again changes nothing.

        Raises :class:`JobNotWaiting`, and :class:`ParamsInvalid` for indices that are not those of its bundles.
        """
        running = self._job
        if running is None or running.start.job != job:
            raise JobNotWaiting("The job does not run, so there is nothing to choose.")
        if running.chosen is not None and set(running.chosen) == set(indices):
            return
        if running.choosing is None:
            raise JobNotWaiting("The job does not wait for a choice.")
        if not indices or len(set(indices)) < len(indices) or max(indices) >= running.choosing:
            raise ParamsInvalid(
                f"That is no choice among {running.choosing} bundles.", "Choose at least one, and each only once."
            )
        running.chosen, running.choosing, running.last_event = indices, None, self._clock()
        self._say(ChooseBundles(job, indices))

    def handle(self, notice: Notice) -> list[Told]:
        """Takes a notice; returns what it means for the job that runs, if anything."""
        process = self._process
        if process is None or notice.start != process.start:
            return []
        process.last_heard = self._clock()
        match notice.message:
            case Ended():
                return self._ended(process, notice.message.why)
            case WorkerReady() if process.killed:
                pass
            case WorkerReady():
                self.state, self.ready, self._failed_starts = WorkerState.IDLE, notice.message, 0
                _log.info("%s is ready", process.worker.title)
            case WorkerAlive():
                self.alive = notice.message
            case WorkerNetworks():
                self.networks = notice.message
            case WorkerEvent():
                return self._job_event(notice.message)
        return []

    def lose(self, why: WorkerDied) -> list[Told]:
        """The worker's place is gone, and it with it: nothing more is heard of it, and no other is launched."""
        self._closing = True
        process = self._process
        if process is None:
            return []
        process.killed = True
        process.worker.kill()
        return self._ended(process, why)

    def tick(self) -> None:
        """Does what time demands: launches a worker, kills one that hangs. Call it several times a second."""
        now, process, job = self._clock(), self._process, self._job
        if process is None:
            if now >= self._start_at and not self._closing:
                self._start()
            return
        if process.killed:
            return
        if self.state is WorkerState.STARTING and now - process.started > self._limits.start:
            self._kill(process, WorkerHung("The worker process did not become ready."))
        elif self.state is not WorkerState.STARTING and now - process.last_heard > self._limits.heartbeat:
            # What is silent behind a network may have been cut off; its job is not to blame, and goes on elsewhere.
            hung = WorkerHung("The worker process stopped answering.")
            self._kill(process, hung, of_job=not process.worker.remote)
        elif job is not None and job.kill_at is not None:
            if now > job.kill_at:
                self._kill(process, WorkerHung("The worker process did not stop when it was asked to."))
        elif job is not None and job.choosing is None and now - job.last_event > self._limits.silence:
            self._kill(process, WorkerHung(f"The job made no progress for {self._limits.silence:.0f} seconds."))

    def close(self) -> None:
        """Ends the worker: politely at first, then by force. Blocks for up to ``limits.stop`` seconds."""
        self._closing = True
        process, self._process, self._job = self._process, None, None
        self.state = WorkerState.STOPPED
        if process is not None:
            process.worker.close(self._limits.stop)

    def _start(self) -> None:
        self._starts += 1
        now, start = self._clock(), self._starts
        try:
            worker = self._launch(lambda message: self._notify(Notice(self.slot, start, message)), lambda: self.job)
        except OSError as error:
            _log.error("the worker cannot be started: %s", error)
            self._failed()
            return
        self._process, self.state = _Process(worker, start, now, now), WorkerState.STARTING
        _log.info("%s started", worker.title)

    def _job_event(self, worker_event: WorkerEvent) -> list[Told]:
        event, job = worker_event.event, self._job
        if job is None or event.job != job.start.job:
            return []
        job.last_event = self._clock()
        if isinstance(event, TERMINAL_EVENTS):
            self.state, self._job = WorkerState.IDLE, None
            if isinstance(event, Failed) and event.code == OutOfMemory.code and self._process is not None:
                # What a failed allocation left behind is unknown: the next job gets a fresh process.
                self._kill(self._process, OutOfMemory(event.message))
        elif job.kill_at is not None:
            return []
        elif isinstance(event, BundlesReady) and event.waiting:
            # A person may take as long as they like; the process's own heartbeat still counts.
            job.choosing, job.chosen = len(event.bundles), None
        return [worker_event]

    def _ended(self, process: _Process, why: WorkerDied) -> list[Told]:
        was_starting = self.state is WorkerState.STARTING
        job, self._job, self._process = self._job, None, None
        self.ready = self.alive = None
        self.networks = WorkerNetworks((), ())
        if was_starting:
            self._failed()
        else:
            self.state, self._start_at = WorkerState.STOPPED, self._clock()
        if job is None:
            return []
        if job.kill_at is not None:
            return [WorkerEvent(Cancelled(job=job.start.job))]
        error = process.blame
        if error is None:
            return [Interrupted(job.start.job, why)]
        # Hung or out of memory, it would be so again.
        return [WorkerEvent(Failed(job=job.start.job, code=error.code, message=error.message, remedy=error.remedy))]

    def _failed(self) -> None:
        self.state = WorkerState.STOPPED
        self._failed_starts += 1
        pause = RESTART_PAUSES[min(self._failed_starts, len(RESTART_PAUSES) - 1)]
        self._start_at = self._clock() + pause

    def _kill(self, process: _Process, why: Kiss3DError, *, of_job: bool = True) -> None:
        _log.warning("killing %s: %s", process.worker.title, why.message)
        process.killed, process.blame = True, why if of_job else None
        if self.state is WorkerState.IDLE:
            # It still runs for a moment, but must not be given a job.
            self.state = WorkerState.STOPPED
        process.worker.kill()

    def _say(self, message: StartJob | CancelJob | ChooseBundles) -> None:
        assert self._process is not None
        self._process.worker.say(message)
