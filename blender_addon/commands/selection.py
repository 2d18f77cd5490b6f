"""Which of a backend's jobs are imported (no bpy)."""

from __future__ import annotations

from collections.abc import Sequence

from kiss3d_protocol.errors import JobUnknown, JobWithoutResult
from kiss3d_protocol.messages import JobSummary


def jobs_by_id(there: Sequence[JobSummary], ids: Sequence[str]) -> list[JobSummary]:
    """The jobs with these ids, or with ids that begin so, each once. Raises :class:`JobUnknown` for an id that is not
    there or is not the only one, :class:`JobWithoutResult` for a job that is not finished."""
    chosen: dict[str, JobSummary] = {}
    for id in ids:
        found = [job for job in there if job.job.startswith(id.lower())] if id else []
        if len(found) != 1:
            many = "several jobs" if found else "no job"
            raise JobUnknown(f"The backend has {many} whose id begins with '{id:.40}'.")
        (job,) = found
        if job.state != "finished":
            raise JobWithoutResult(f"The job '{job.name}' is not finished, but {job.state}.")
        chosen[job.job] = job
    return list(chosen.values())


def newest_jobs(there: Sequence[JobSummary], since: float | None, last: int | None) -> list[JobSummary]:
    """The finished jobs in the order in which they ended; ``since`` in seconds since 1970, ``last``: how many."""
    finished = [job for job in there if job.state == "finished" and job.finished is not None]
    chosen = [job for job in finished if since is None or (job.finished or 0.0) >= since]
    chosen.sort(key=lambda job: job.finished or 0.0)
    return chosen if last is None else chosen[-last:]
