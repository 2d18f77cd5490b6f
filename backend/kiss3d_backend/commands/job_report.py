"""``kiss3d jobs report``: the account of a job that has ended, from a running backend or from the data directory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Sequence
from pathlib import Path

from attrs import frozen

from kiss3d_backend import __version__
from kiss3d_backend.commands.files import check_writable, write_atomically
from kiss3d_backend.commands.jobs import ANSWER_SECONDS, jobs_of_backend, jobs_on_disk
from kiss3d_backend.config import DataDir, default_data_dir
from kiss3d_backend.jobs.states import ENDED
from kiss3d_backend.reports.folder import ReportFolder
from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import ConnectionLost, JobNotEnded, JobUnknown, Kiss3DError, error_from_wire
from kiss3d_protocol.messages import MAX_LISTED_JOBS, JobSummary, Refused, ReportFiles
from kiss3d_protocol.session import Received


@frozen
class JobAccount:
    """The two files of a report. ``data``: JSON; ``page``: HTML; both in UTF-8."""

    data: bytes
    page: bytes


def run_report(*, job: str, output: Path | None, connect: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Prints the JSON, or writes the page (or, by the ending of ``output``, the JSON) to a file.

    ``job``: an id, or as much of its beginning as tells it from the others. Raises :class:`JobUnknown`,
    :class:`JobNotEnded`, :class:`ArtifactLost`, a :class:`ConnectionFailed` and :class:`OutputUnwritable`.
    """
    if output is not None:
        check_report_path(output)
    folder = data_dir or default_data_dir()
    listed = jobs_of_backend(connect, MAX_LISTED_JOBS) if connect else jobs_on_disk(folder, MAX_LISTED_JOBS)
    found = find_job(listed, job)
    account = _from_backend(connect, found.job) if connect else _from_disk(folder, found)
    if output is None and not as_json:
        output = Path(f"kiss3d-report-{found.job[:8]}.html")
        check_report_path(output)
    if output is not None:
        write_report(account, output)
    print(account.data.decode() if as_json else f"{output}: what ran")


def find_job(jobs: Sequence[JobSummary], name: str) -> JobSummary:
    """The job whose id begins so. Raises :class:`JobUnknown` when there is none, or more than one."""
    found = [job for job in jobs if name and job.job.startswith(name.lower())]
    if len(found) > 1:
        ids = ", ".join(job.job for job in found[:5])
        raise JobUnknown(f"{len(found)} jobs begin with '{name:.64}'.", f"Give more of the id: {ids}.")
    if not found:
        raise JobUnknown(f"There is no job '{name:.64}'.", "List the jobs with 'kiss3d jobs'.")
    return found[0]


def check_report_path(path: Path) -> None:
    """Finds out before any work whether a report can be written there. Raises :class:`OutputUnwritable`."""
    check_writable(path, ".json" if path.suffix.lower() == ".json" else ".html")


def write_report(account: JobAccount, path: Path) -> None:
    """The JSON into a ``.json`` file, the page into any other. Raises :class:`OutputUnwritable`."""
    write_atomically(path, lambda: account.data if path.suffix.lower() == ".json" else account.page)


@contextlib.contextmanager
def report_afterwards(client: Client, job: str, path: Path | None) -> Generator[None]:
    """Writes the report of a job that is followed inside, also when that raises; the job's own error comes first."""
    if path is None:
        yield
        return
    try:
        yield
    except (Kiss3DError, KeyboardInterrupt):
        with contextlib.suppress(Kiss3DError):
            write_report(fetch_report(client, job), path)
        raise
    write_report(fetch_report(client, job), path)


def fetch_report(client: Client, job: str) -> JobAccount:
    """Asks a backend. Raises what it refuses with, and :class:`ConnectionLost` when it does not answer."""
    client.get_report(job)
    deadline = time.monotonic() + ANSWER_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        news = client.wait(left)
        if not isinstance(news, Received):
            continue
        message = news.message
        if isinstance(message, ReportFiles) and message.job == job:
            return JobAccount(bytes(news.blobs[message.data.blob]), bytes(news.blobs[message.page.blob]))
        if isinstance(message, Refused) and message.about == "get_report":
            raise error_from_wire(message.code, message.message, message.remedy)
    raise ConnectionLost("The backend did not answer.")


def _from_backend(address: str, job: str) -> JobAccount:
    with Client(address, f"cli/{__version__}") as client:
        client.connected(ANSWER_SECONDS)
        return fetch_report(client, job)


def _from_disk(data_dir: Path, job: JobSummary) -> JobAccount:
    if job.state not in ENDED:
        raise JobNotEnded("The job has not ended, so there is no report yet.")
    data, page = ReportFolder(DataDir(data_dir).reports).paths(job.job)
    return JobAccount(data.read_bytes(), page.read_bytes())
