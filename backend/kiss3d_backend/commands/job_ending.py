"""``kiss3d jobs cancel`` and ``kiss3d jobs delete``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from kiss3d_backend import __version__
from kiss3d_backend.commands.job_report import find_job
from kiss3d_backend.commands.jobs import ANSWER_SECONDS, jobs_of_backend, jobs_on_disk
from kiss3d_backend.config import DataDir, default_data_dir
from kiss3d_backend.jobs.instances import is_dead
from kiss3d_backend.jobs.keeper import Keeper
from kiss3d_backend.jobs.states import ENDED
from kiss3d_backend.jobs.store import JobStore
from kiss3d_protocol.client import Client
from kiss3d_protocol.deletion import Deleted
from kiss3d_protocol.errors import ConnectionLost, JobNotEnded, error_from_wire
from kiss3d_protocol.messages import (
    MAX_LISTED_JOBS,
    TERMINAL_EVENTS,
    Failed,
    Finished,
    JobSummary,
    Refused,
    ServerMessage,
)
from kiss3d_protocol.session import Received


def run_delete(names: Sequence[str], *, connect: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Deletes jobs of a backend that runs, or of the data directory. ``names``: ids, or their beginnings.

    Raises :class:`JobUnknown` before anything is deleted, and :class:`JobNotEnded` for a job that a backend works on
    when that was not asked.
    """
    listed = jobs_of_backend(connect, MAX_LISTED_JOBS) if connect else _on_disk(data_dir)
    jobs = list(dict.fromkeys(find_job(listed, name).job for name in names))
    if connect:
        with Client(connect, f"cli/{__version__}") as client:
            client.connected(ANSWER_SECONDS)
            for job in jobs:
                client.delete(job)
                _answer(client, job, "delete", lambda message: isinstance(message, Deleted))
    else:
        _delete_from_disk(DataDir(data_dir or default_data_dir()), jobs)
    print(json.dumps({"deleted": jobs}) if as_json else "\n".join(f"{job[:8]}: deleted" for job in jobs))


def run_cancel(name: str, *, connect: str, as_json: bool) -> None:
    """Cancels a job of a backend that runs. Raises :class:`JobUnknown`."""
    found = find_job(jobs_of_backend(connect, MAX_LISTED_JOBS), name)
    state: str = found.state
    if state not in ENDED:
        with Client(connect, f"cli/{__version__}") as client:
            client.connected(ANSWER_SECONDS)
            client.attach(found.job, found.last_number)
            client.cancel(found.job)
            end = _answer(client, found.job, "attach", lambda message: isinstance(message, TERMINAL_EVENTS))
        # It may have come to its own end just before.
        state = "finished" if isinstance(end, Finished) else "failed" if isinstance(end, Failed) else "cancelled"
    print(json.dumps({"job": found.job, "state": state}) if as_json else f"{found.job[:8]}: {state}")


def _answer(client: Client, job: str, about: str, is_it: Callable[[ServerMessage], bool]) -> ServerMessage:
    deadline = time.monotonic() + ANSWER_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        news = client.wait(left)
        if not isinstance(news, Received) or getattr(news.message, "job", None) != job:
            continue
        message = news.message
        if is_it(message):
            return message
        if isinstance(message, Refused) and message.about == about:
            raise error_from_wire(message.code, message.message, message.remedy)
    raise ConnectionLost("The backend did not answer.")


def _on_disk(data_dir: Path | None) -> list[JobSummary]:
    return jobs_on_disk(data_dir or default_data_dir(), MAX_LISTED_JOBS)


def _delete_from_disk(data: DataDir, jobs: Sequence[str]) -> None:
    store = JobStore(data.database)
    try:
        keeper = Keeper(data, store)
        for job in jobs:
            record = store.get(job)
            if not record.ended:
                if not is_dead(data.backends, record.backend):
                    raise JobNotEnded(
                        f"A backend works on {job[:8]}, or will.", "Cancel or delete it there, with --connect ADDRESS."
                    )
                # Nobody will come back for it but the next backend.
                store.change_state(job, "cancelled", finished=time.time())
            keeper.delete(job)
    finally:
        store.close()
