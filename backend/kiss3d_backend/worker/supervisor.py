"""Keeps one worker process alive: starts it, watches it, kills it, starts it again. Imports no torch.

The process talks through its pipes. Threads read them and put :class:`Notice` objects where the broker's loop
takes them; everything else happens on the broker's thread, in :meth:`Supervisor.handle` and :meth:`Supervisor.tick`.
"""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from typing import BinaryIO

import attrs

from kiss3d_backend.config import WorkerLimits
from kiss3d_backend.logs import relay
from kiss3d_backend.worker.messages import (
    CancelJob,
    ChooseBundles,
    FromWorker,
    StartJob,
    ToWorker,
    WorkerAlive,
    WorkerEvent,
    WorkerReady,
    from_worker,
    to_fields,
)
from kiss3d_backend.worker.pipe import read_message, write_message
from kiss3d_protocol.errors import (
    BackendStartFailed,
    JobNotWaiting,
    Kiss3DError,
    MessageMalformed,
    OutOfMemory,
    ParamsInvalid,
    WorkerDied,
    WorkerHung,
)
from kiss3d_protocol.messages import TERMINAL_EVENTS, BundlesReady, Cancelled, Failed

_log = logging.getLogger(__name__)

LAST_WORDS = 20
RESTART_PAUSES = (0.0, 0.0, 1.0, 5.0, 30.0)
"""Seconds before the n-th start in a row that did not get as far as ready."""


class WorkerState(Enum):
    """Where the process stands. STOPPED: none runs; one may be started later."""

    STOPPED = "stopped"
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"


@attrs.frozen
class Notice:
    """Something that a pipe told. ``message`` is None when the process has ended; ``start`` counts processes."""

    start: int
    message: FromWorker | None


@attrs.frozen
class Interrupted:
    """The process died in the middle of this job, of itself or by somebody else's hand."""

    job: str
    why: WorkerDied


@attrs.define
class _Job:
    """``choosing``: of how many bundles it waits for a choice. ``chosen``: the choice that it was last given."""

    job: str
    last_event: float
    kill_at: float | None = None
    choosing: int | None = None
    chosen: tuple[int, ...] | None = None


@attrs.define(eq=False)
class _Process:
    """One process and what is known of it. ``blame`` is set when we kill it ourselves."""

    popen: subprocess.Popen[bytes]
    start: int
    started: float
    last_heard: float
    last_words: deque[str]
    blame: Kiss3DError | None = None


class Supervisor:
    """One worker process. ``notify`` is called on other threads; hand its notices to :meth:`handle`."""

    def __init__(
        self,
        command: Sequence[str],
        notify: Callable[[Notice], None],
        limits: WorkerLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = WorkerState.STOPPED
        self.versions: dict[str, str] = {}
        self._command = list(command)
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
    def pid(self) -> int | None:
        """The process, if there is one."""
        return self._process.popen.pid if self._process else None

    @property
    def job(self) -> str | None:
        """The job that runs, if any."""
        return self._job.job if self._job else None

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
        self.state, self._job = WorkerState.BUSY, _Job(start.job, self._clock())
        self._say(start)

    def cancel(self, job: str) -> bool:
        """Stops the job if it runs here; its end comes as an event within ``limits.cancel`` seconds."""
        if self._job is None or self._job.job != job:
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
        if running is None or running.job != job:
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

    def handle(self, notice: Notice) -> list[WorkerEvent | Interrupted]:
        """Takes a notice; returns what it means for the job that runs, if anything."""
        process = self._process
        if process is None or notice.start != process.start:
            return []
        process.last_heard = self._clock()
        match notice.message:
            case None:
                return self._ended(process)
            case WorkerReady():
                self.state, self.versions, self._failed_starts = WorkerState.IDLE, notice.message.versions, 0
                _log.info("worker %d is ready", notice.message.pid)
                return []
            case WorkerAlive():
                return []
            case WorkerEvent():
                return self._job_event(notice.message)

    def tick(self) -> None:
        """Does what time demands: starts a process, kills one that hangs. Call it several times a second."""
        now, process, job = self._clock(), self._process, self._job
        if process is None:
            if now >= self._start_at and not self._closing:
                self._start()
            return
        if process.blame is not None:
            return
        if self.state is WorkerState.STARTING and now - process.started > self._limits.start:
            self._kill(process, WorkerHung("The worker process did not become ready."))
        elif self.state is not WorkerState.STARTING and now - process.last_heard > self._limits.heartbeat:
            self._kill(process, WorkerHung("The worker process stopped answering."))
        elif job is not None and job.kill_at is not None:
            if now > job.kill_at:
                self._kill(process, WorkerHung("The worker process did not stop when it was asked to."))
        elif job is not None and job.choosing is None and now - job.last_event > self._limits.silence:
            self._kill(process, WorkerHung(f"The job made no progress for {self._limits.silence:.0f} seconds."))

    def close(self) -> None:
        """Ends the process: politely at first, then by force. Blocks for up to ``limits.stop`` seconds."""
        self._closing = True
        process, self._process, self._job = self._process, None, None
        self.state = WorkerState.STOPPED
        if process is None:
            return
        _close_quietly(process.popen.stdin)
        try:
            process.popen.wait(self._limits.stop)
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()

    def _start(self) -> None:
        self._starts += 1
        now = self._clock()
        try:
            popen = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # Threads that wait by spinning make a worker beside a busy Blender many times slower, and gain little.
                env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
            )
        except OSError as error:
            _log.error("the worker cannot be started: %s", error)
            self._failed()
            return
        assert popen.stdout is not None and popen.stderr is not None
        process = _Process(popen, self._starts, now, now, deque(maxlen=LAST_WORDS))
        self._process, self.state = process, WorkerState.STARTING
        _log.info("worker %d started", popen.pid)
        listener = threading.Thread(target=self._log_words, args=(popen.stderr, process), daemon=True)
        listener.start()
        threading.Thread(target=self._listen, args=(popen.stdout, process, listener), daemon=True).start()

    def _listen(self, pipe: BinaryIO, process: _Process, words: threading.Thread) -> None:
        with pipe:
            while True:
                try:
                    fields = read_message(pipe)
                    message = None if fields is None else from_worker(fields)
                except (OSError, ValueError, MessageMalformed) as error:
                    _log.error("worker %d cannot be understood: %s", process.popen.pid, error)
                    process.popen.kill()
                    message = None
                if message is None:
                    break
                self._notify(Notice(process.start, message))
        process.popen.wait()
        words.join(timeout=1.0)
        self._notify(Notice(process.start, None))

    def _log_words(self, pipe: BinaryIO, process: _Process) -> None:
        with pipe:
            for line in pipe:
                text = line.decode("utf-8", "replace").rstrip()
                process.last_words.append(relay(text, process.popen.pid, self.job))

    def _job_event(self, worker_event: WorkerEvent) -> list[WorkerEvent | Interrupted]:
        event, job = worker_event.event, self._job
        if job is None or event.job != job.job:
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

    def _ended(self, process: _Process) -> list[WorkerEvent | Interrupted]:
        code = process.popen.returncode
        _log.warning("worker %d ended with code %s", process.popen.pid, code)
        _close_quietly(process.popen.stdin)
        was_starting = self.state is WorkerState.STARTING
        job, self._job, self._process = self._job, None, None
        if was_starting:
            self._failed()
        else:
            self.state, self._start_at = WorkerState.STOPPED, self._clock()
        if job is None:
            return []
        if job.kill_at is not None:
            return [WorkerEvent(Cancelled(job=job.job))]
        error = process.blame
        if error is None:
            return [Interrupted(job.job, _cause_of_death(code))]
        # Hung or out of memory, it would be so again.
        return [WorkerEvent(Failed(job=job.job, code=error.code, message=error.message, remedy=error.remedy))]

    def _failed(self) -> None:
        self.state = WorkerState.STOPPED
        self._failed_starts += 1
        pause = RESTART_PAUSES[min(self._failed_starts, len(RESTART_PAUSES) - 1)]
        self._start_at = self._clock() + pause

    def _kill(self, process: _Process, blame: Kiss3DError) -> None:
        _log.warning("killing worker %d: %s", process.popen.pid, blame.message)
        process.blame = blame
        if self.state is WorkerState.IDLE:
            # It still runs for a moment, but must not be given a job.
            self.state = WorkerState.STOPPED
        process.popen.kill()

    def _say(self, message: ToWorker) -> None:
        assert self._process is not None and self._process.popen.stdin is not None
        try:
            write_message(self._process.popen.stdin, to_fields(message))  # pyright: ignore[reportArgumentType]
        except OSError:
            _log.debug("the worker is gone; its end will be noticed")


def _cause_of_death(code: int | None) -> WorkerDied:
    if code == -9:
        return WorkerDied(
            "The worker process was killed in the middle of the job; the system may have run out of memory."
        )
    return WorkerDied(f"The worker process died in the middle of the job (exit code {code}).")


def _close_quietly(pipe: object) -> None:
    try:
        if pipe is not None:
            pipe.close()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    except OSError:
        pass
