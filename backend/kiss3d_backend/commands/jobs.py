"""``kiss3d jobs``: the newest jobs of a backend, or of the data directory."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

from cattrs import unstructure
from rich.console import Console
from rich.table import Table

from kiss3d_backend import __version__
from kiss3d_backend.commands.terminal import plain
from kiss3d_backend.config import DataDir, default_data_dir
from kiss3d_backend.jobs.store import JobStore
from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import ConnectionLost
from kiss3d_protocol.messages import JobList, JobSummary
from kiss3d_protocol.session import Received

ANSWER_SECONDS = 10.0


def run_jobs(*, connect: str | None, data_dir: Path | None, limit: int, as_json: bool) -> None:
    """Prints the jobs, newest first."""
    jobs = jobs_of_backend(connect, limit) if connect else jobs_on_disk(data_dir or default_data_dir(), limit)
    if as_json:
        print(json.dumps(unstructure(jobs)))
        return
    table = Table("Job", "Picture", "Preset", "Seed", "State", "Done", "Created", "Seconds", box=None)
    for job in jobs:
        table.add_row(
            job.job[:8],
            plain(job.name),
            plain(job.preset),
            str(job.seed),
            f"{job.state} ({job.error})" if job.error else job.state,
            f"{job.fraction:.0%}",
            datetime.fromtimestamp(job.created).strftime("%Y-%m-%d %H:%M"),
            f"{(job.finished or time.time()) - job.started:.1f}" if job.started else "",
        )
    Console().print(table if jobs else "There are no jobs yet.")


def jobs_of_backend(address: str, limit: int) -> list[JobSummary]:
    """Asks a running backend. Raises a :class:`ConnectionFailed`."""
    with Client(address, f"cli/{__version__}") as client:
        client.connected(ANSWER_SECONDS)
        client.list_jobs(limit)
        deadline = time.monotonic() + ANSWER_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            news = client.wait(left)
            if isinstance(news, Received) and isinstance(news.message, JobList):
                return list(news.message.jobs)
    raise ConnectionLost("The backend did not answer.")


def jobs_on_disk(data_dir: Path, limit: int) -> list[JobSummary]:
    """Reads the data directory; no backend needs to run."""
    database = DataDir(data_dir).database
    if not database.exists():
        return []
    store = JobStore(database)
    try:
        return [record.summary() for record in store.newest(limit)]
    finally:
        store.close()
