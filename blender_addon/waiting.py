"""Waiting where nothing else drives the monitor: in scripts, commands and background mode (no bpy)."""

from __future__ import annotations

import time
from collections.abc import Callable

from kiss3d_protocol.errors import ConnectionLost, JobError, Kiss3DError
from kiss3d_protocol.messages import JobSummary

from .connection import BackendTarget, Connection
from .job import Job
from .job_monitor import JobMonitor
from .job_state import Phase
from .link_state import Link

PAUSE_SECONDS = 0.01
LOST_FOR_SECONDS = 30.0
"""How long a lost connection may take to come back before the wait is given up."""


class Patience:
    """Knows when there is no use in waiting for a connection any more; ``lost_for``: seconds that it may be lost."""

    def __init__(
        self,
        connection: Connection,
        lost_for: float = LOST_FOR_SECONDS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._lost_for = lost_for
        self._clock = clock
        self._lost_since: float | None = None

    def exhausted(self) -> Kiss3DError | None:
        """Why there is no use in waiting any more, None while there is. Ask it as often as things may have changed."""
        view, now = self._connection.view, self._clock()
        if view.link in (Link.FAILED, Link.CONNECTING) and view.error is not None:
            return view.error
        if view.link is not Link.LOST:
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = now
        elif now - self._lost_since > self._lost_for:
            return ConnectionLost("The connection to the backend was lost.")
        return None


def wait_until_settled(monitor: JobMonitor, job: Job, timeout: float | None = None) -> None:
    """Returns when the result of ``job`` stands in the scene.

    Raises the job's error when it fails, :class:`JobCancelled` when it is cancelled, a :class:`ConnectionFailed` or
    :class:`BackendError` when the backend cannot be reached, TimeoutError (and cancels the job) after ``timeout``
    seconds.
    """
    started = time.monotonic()
    patience = Patience(job.connection)
    while not job.settled:
        if not monitor.poll():
            time.sleep(PAUSE_SECONDS)
        reason = patience.exhausted()
        if not job.state.ended:
            if reason is not None:
                monitor.abandon(job, reason)
        elif job.hindrance:
            # Nobody can go back to Object Mode or open the scene while a script waits.
            monitor.abandon(job, JobError(job.hindrance))
        if timeout is not None and time.monotonic() - started > timeout and not job.state.ended:
            monitor.abandon(job, JobError(f"The job was given up after {timeout:g} seconds."))
            monitor.poll()
            raise TimeoutError(f"'{job.state.name}' was not ready after {timeout:g} seconds.")
    if job.state.phase is not Phase.FINISHED:
        raise job.state.error or JobError("The job did not end well.")


def wait_until_connected(monitor: JobMonitor, backend: BackendTarget) -> Connection:
    """The connection to ``backend`` when it stands. Raises a :class:`ConnectionFailed` or :class:`BackendError`."""
    connection = monitor.connect(backend)
    _wait(monitor, connection, lambda: connection.view.link is Link.CONNECTED)
    return connection


def wait_for_jobs(monitor: JobMonitor, connection: Connection, limit: int) -> tuple[JobSummary, ...]:
    """The newest ``limit`` jobs of a connected backend. Raises what :func:`wait_until_connected` raises."""
    before = connection.lists
    _wait(monitor, connection, lambda: connection.list_jobs(limit))
    _wait(monitor, connection, lambda: connection.lists > before)
    return connection.jobs_there


def _wait(monitor: JobMonitor, connection: Connection, condition: Callable[[], bool]) -> None:
    patience = Patience(connection)
    while not condition():
        if not monitor.poll():
            time.sleep(PAUSE_SECONDS)
        reason = patience.exhausted()
        if reason is not None:
            raise reason
