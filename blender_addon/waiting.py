"""Waiting for a job where nothing else drives the monitor: in scripts and in background mode (no bpy)."""

from __future__ import annotations

import time

from kiss3d_protocol.errors import ConnectionLost, JobError, Kiss3DError

from .connection import Connection
from .job import Job
from .job_monitor import JobMonitor
from .job_state import Phase
from .link_state import Link

PAUSE_SECONDS = 0.01
LOST_FOR_SECONDS = 30.0
"""How long a lost connection may take to come back before the wait is given up."""


def wait_until_settled(monitor: JobMonitor, job: Job, timeout: float | None = None) -> None:
    """Returns when the result of ``job`` stands in the scene.

    Raises the job's error when it fails, :class:`JobCancelled` when it is cancelled, a :class:`ConnectionFailed` or
    :class:`BackendError` when the backend cannot be reached, TimeoutError (and cancels the job) after ``timeout``
    seconds.
    """
    started = time.monotonic()
    lost_since: float | None = None
    while not job.settled:
        if not monitor.poll():
            time.sleep(PAUSE_SECONDS)
        now = time.monotonic()
        lost_since = (lost_since or now) if job.connection.view.link is Link.LOST else None
        if not job.state.ended:
            reason = _why_unreachable(job.connection, 0.0 if lost_since is None else now - lost_since)
            if reason is not None:
                monitor.abandon(job, reason)
        elif job.hindrance:
            # Nobody can go back to Object Mode or open the scene while a script waits.
            monitor.abandon(job, JobError(job.hindrance))
        if timeout is not None and now - started > timeout and not job.state.ended:
            monitor.abandon(job, JobError(f"The job was given up after {timeout:g} seconds."))
            monitor.poll()
            raise TimeoutError(f"'{job.state.name}' was not ready after {timeout:g} seconds.")
    if job.state.phase is not Phase.FINISHED:
        raise job.state.error or JobError("The job did not end well.")


def _why_unreachable(connection: Connection, lost_for: float) -> Kiss3DError | None:
    view = connection.view
    if view.link in (Link.FAILED, Link.CONNECTING) and view.error is not None:
        return view.error
    if lost_for > LOST_FOR_SECONDS:
        return ConnectionLost("The connection to the backend was lost.")
    return None
