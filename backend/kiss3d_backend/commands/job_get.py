"""``kiss3d jobs get``: the meshes of a job that ran earlier, from a running backend."""

from __future__ import annotations

import time
from pathlib import Path

from kiss3d_backend import __version__
from kiss3d_backend.commands.files import check_writable
from kiss3d_backend.commands.job_report import find_job
from kiss3d_backend.commands.job_results import JobResult, write_meshes
from kiss3d_backend.commands.jobs import ANSWER_SECONDS, jobs_of_backend
from kiss3d_protocol import fetching
from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import ConnectionLost, error_from_wire
from kiss3d_protocol.fetching import FetchFailed
from kiss3d_protocol.messages import MAX_LISTED_JOBS, MeshReady, Refused
from kiss3d_protocol.session import LinkChanged, LinkState, Received

LOST_SECONDS = 60.0
"""How long a connection may be away before the command gives up; what has come is kept for the next time."""


def run_get(*, job: str, output: Path, connect: str) -> None:
    """Writes the newest mesh of each bundle of a job as GLB; ``job`` is an id or its beginning.

    Raises :class:`JobUnknown`, :class:`JobWithoutResult`, :class:`ArtifactLost`, a :class:`ConnectionFailed` and
    :class:`OutputUnwritable`.
    """
    check_writable(output, ".glb")
    found = find_job(jobs_of_backend(connect, MAX_LISTED_JOBS), job)
    with Client(connect, f"cli/{__version__}") as client:
        client.connected(ANSWER_SECONDS)
        result = fetch_results(client, found.job)
    for mesh in write_meshes(result, output, None):
        print(f"{mesh.output}: {mesh.vertices:,} vertices, {mesh.triangles:,} triangles")


def fetch_results(client: Client, job: str) -> JobResult:
    """The meshes of a job. Raises what the backend refuses with, and :class:`ConnectionLost`."""
    client.get_results(job)
    result = JobResult()
    lost_since: float | None = None
    while lost_since is None or time.monotonic() - lost_since < LOST_SECONDS:
        news = client.wait(1.0)
        if isinstance(news, LinkChanged):
            if news.state is LinkState.FAILED and news.error is not None:
                raise news.error
            lost_since = None if news.state is LinkState.CONNECTED else time.monotonic()
        elif isinstance(news, Received):
            message = news.message
            if isinstance(message, Refused | FetchFailed):
                raise error_from_wire(message.code, message.message, message.remedy)
            if isinstance(message, fetching.JobResult) and message.job == job:
                ready = MeshReady(job=job, quality=message.quality, mesh=message.mesh, bundle=message.bundle)
                result.finals[message.bundle] = ready, tuple(news.blobs)
                if len(result.finals) == message.count:
                    return result
    raise ConnectionLost("The connection to the backend was lost.")
