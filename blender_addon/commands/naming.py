"""What results are called: objects after rows, files after jobs (no bpy)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from kiss3d_protocol.messages import JobSummary

ID_SHOWN = 8
"""Letters of a job's id that tell it from another of the same name."""

_NO_FILE_NAME = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]|\.\.+')
UNNAMED = "Kiss3D"


def titles_of(names: Sequence[str]) -> dict[str, str]:
    """What the object of each row is called: the end of the row's name, or all of it where that is not the only one."""
    ends = Counter(_end(name) for name in names)
    return {name: _end(name) if ends[_end(name)] == 1 else name for name in names}


def names_of_jobs(jobs: Sequence[JobSummary], taken: Mapping[str, str]) -> dict[str, str]:
    """A name for each job, by its id, that can be that of a file on every system and is no other's.

    ``taken``: the names that are given already, and the ids of the jobs that have them.
    """
    owners = {name.casefold(): job for name, job in taken.items()}
    named: dict[str, str] = {}
    for job in jobs:
        plain = file_name(job.name)
        for name in (plain, f"{plain}-{job.job[:ID_SHOWN]}", f"{plain}-{job.job}"):
            if owners.setdefault(name.casefold(), job.job) == job.job:
                named[job.job] = name
                break
    return named


def file_name(name: str) -> str:
    """A name that any program may have given, as a path that stays in the folder, without an ending."""
    parts = (_NO_FILE_NAME.sub("_", part).strip(" .") for part in name.split("/"))
    return "/".join(part for part in parts if part) or UNNAMED


def _end(name: str) -> str:
    return name.rpartition("/")[2]
