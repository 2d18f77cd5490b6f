"""What a report holds, as frozen classes; ``report.json`` is :class:`Report` as it stands here.

Sizes are in bytes, times in seconds: durations, or since 1970 where a name says when. None is not known.
"""

from __future__ import annotations

import json
from typing import Literal

from attrs import asdict, field, frozen
from cattrs import Converter

from kiss3d_backend.models.used import UsedFile
from kiss3d_protocol.messages import Device, JobState
from kiss3d_protocol.params import GenerateParams

FORMAT = 1
"""Of ``report.json``; another number where a reader of this one would go wrong."""

PictureKind = Literal["preview", "bundle", "turntable"]


@frozen
class LoadRecord:
    """A network that a stage had to read from the disk."""

    name: str
    seconds: float


@frozen
class StageRecord:
    """One stage. ``started``: when. ``completed``: False for the one in which the job ended early.

    ``plan``: by which plan it ran; ``lowered``: how often a lower one was taken because memory had run out.
    ``planned_*``: what the plan said; ``peak_*``: the most that was measured; ``allocated_vram``: what tensors took of
    it. ``used``: what of the machine it used, by stable names.
    """

    stage: str
    title: str
    started: float
    seconds: float | None = None
    completed: bool = False
    from_checkpoint: bool = False
    plan: str = ""
    lowered: int = 0
    planned_vram: int | None = None
    peak_vram: int | None = None
    allocated_vram: int | None = None
    planned_ram: int | None = None
    peak_ram: int | None = None
    loads: tuple[LoadRecord, ...] = ()
    used: dict[str, str] = field(factory=dict[str, str])


@frozen
class CheckRecord:
    """A figure of a bundle and the range in which it is good. ``bundle`` and ``view`` count from 0."""

    stage: str
    name: str
    value: float | None
    least: float | None
    most: float | None
    passed: bool
    bundle: int
    view: int | None


@frozen
class WarningRecord:
    """A warning that was given. ``stage``: in which stage."""

    code: str
    message: str
    remedy: str
    stage: str = ""


@frozen
class MeshRecord:
    """A mesh that was shown. ``bundle``: of which it was made, from 0."""

    quality: str
    bundle: int
    vertices: int
    triangles: int


@frozen
class PictureRecord:
    """A small picture beside the report. ``file``: its name in the job's folder. ``frames``: side by side.

    ``stage``: that showed a preview; ``quality``: of the mesh of a turntable; ``seed``: of a bundle.
    """

    kind: PictureKind
    file: str
    media_type: str
    width: int
    height: int
    frames: int = 1
    stage: str = ""
    quality: str = ""
    bundle: int = 0
    seed: int | None = None


@frozen
class RunRecord:
    """What the worker knows of a run, also of one that is not over. ``jobs_before``: that the same worker had run."""

    recipe: str = ""
    device: Device | None = None
    versions: dict[str, str] = field(factory=dict[str, str])
    jobs_before: int = 0
    stages: tuple[StageRecord, ...] = ()
    checks: tuple[CheckRecord, ...] = ()
    warnings: tuple[WarningRecord, ...] = ()
    files: tuple[UsedFile, ...] = ()
    meshes: tuple[MeshRecord, ...] = ()
    pictures: tuple[PictureRecord, ...] = ()


@frozen
class InputsRecord:
    """What the job was made from: sha256s of picture files, and the size of a mesh."""

    picture: str | None = None
    views: tuple[str, ...] = ()
    mesh_vertices: int | None = None
    mesh_triangles: int | None = None


@frozen
class JobPart:
    """The job as the backend has it. ``attempts``: how often it was begun. ``seconds``: from its last start on."""

    id: str
    name: str
    state: JobState
    params: GenerateParams
    inputs: InputsRecord
    created: float
    started: float | None
    finished: float | None
    attempts: int
    seconds: float | None


@frozen
class ErrorRecord:
    """Why a job failed. ``stage``: in which stage, empty outside of them."""

    code: str
    message: str
    remedy: str
    stage: str = ""


@frozen
class Advice:
    """What would make the next run faster. ``code``: stable; ``values``: the figures that it follows from."""

    code: str
    values: dict[str, float | str] = field(factory=dict[str, float | str])


@frozen
class Report:
    """All of it."""

    job: JobPart
    run: RunRecord
    error: ErrorRecord | None = None
    advice: tuple[Advice, ...] = ()
    format: int = FORMAT


_CONVERTER = Converter()
_CONVERTER.register_structure_hook(float | str, lambda value, _: value)  # pyright: ignore[reportArgumentType]


def to_json(record: Report | RunRecord) -> str:
    """JSON text. Raises ValueError for numbers that JSON does not have."""
    return json.dumps(asdict(record), allow_nan=False, ensure_ascii=False, indent=1)


def run_from_json(text: str) -> RunRecord:
    """Raises ValueError, or what cattrs raises, for text of another kind."""
    return _CONVERTER.structure(json.loads(text), RunRecord)


def report_from_json(text: str) -> Report:
    """Raises ValueError, or what cattrs raises, for text of another kind."""
    return _CONVERTER.structure(json.loads(text), Report)
