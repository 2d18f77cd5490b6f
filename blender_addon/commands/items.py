"""What a command is to bring about, one result after the other (no bpy)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from kiss3d_protocol.batch.rows import Row
from kiss3d_protocol.messages import JobSummary
from kiss3d_protocol.params import GenerateParams

from ..capture.picture import picture_from_file
from ..importer.recipe import params_of, recipe_of_summary
from ..job_inputs import JobInputs, name_of_prompt
from .naming import names_of_jobs, titles_of


@frozen
class Item:
    """One result to make or to import. ``name``: its path, with ``/`` and without an ending, no other's in the
    manifest; ``title``: what its object is called. ``digest``: of all that it depends on. ``take`` copies the inputs
    and may raise a :class:`Kiss3DError`; None for the job ``job`` that the backend has, of which ``recipe`` is known.
    """

    name: str
    title: str
    digest: Callable[[], str]
    params: GenerateParams
    take: Callable[[], JobInputs] | None = None
    job: str = ""
    recipe: dict[str, Any] = field(factory=dict[str, Any])


def items_of_rows(rows: Sequence[Row]) -> list[Item]:
    """Each row is made; its picture is read when its turn comes."""
    titles = titles_of([row.name for row in rows])
    return [
        Item(row.name, titles[row.name], row.digest, row.params, lambda row=row: inputs_of_row(row)) for row in rows
    ]


def inputs_of_row(row: Row) -> JobInputs:
    """Raises a :class:`PictureError`."""
    if row.picture is None:
        return JobInputs(name_of_prompt(row.params.prompt))
    picture = picture_from_file(row.picture)
    return JobInputs(picture.name, picture)


def items_of_jobs(jobs: Sequence[JobSummary], taken: Mapping[str, str], size: float) -> list[Item]:
    """Each job is imported, as large as ``size``. ``taken``: the names that are given already, with their jobs' ids."""
    names = names_of_jobs(jobs, taken)
    items: list[Item] = []
    for job in jobs:
        name, recipe = names[job.job], recipe_of_summary(job) | {"size": size}
        title = job.name or name
        items.append(Item(name, title, lambda job=job: job.job, params_of(recipe), job=job.job, recipe=recipe))
    return items
