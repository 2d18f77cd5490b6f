"""The messages (SPEC.md, sections 5 and 6) as frozen classes.

``ClientMessage`` and ``ServerMessage`` are the tagged unions that :mod:`kiss3d_protocol.framing` reads and
writes.
"""

from __future__ import annotations

import math
import re
import uuid
from typing import Any, Literal

from attrs import field, frozen, validators

from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import ArrayRef, ImageRef, MeshRef, expect_backend_image

MAX_NAME = 256
MAX_TEXT = 16_384
MAX_LISTED_JOBS = 1000

JobState = Literal["queued", "running", "finished", "failed", "cancelled"]
Quality = Literal["coarse", "refined", "final"]
DeviceKind = Literal["cpu", "cuda", "mps"]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_job = validators.matches_re(_UUID)
_name = validators.max_len(MAX_NAME)
_text = validators.max_len(MAX_TEXT)
_fraction = [validators.ge(0.0), validators.le(1.0)]
_not_negative = validators.ge(0)


def _finite(_: object, attribute: Any, value: float | None) -> None:
    if value is not None and not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be finite: {value}")


_seconds = [_not_negative, _finite]


def new_job_id() -> str:
    """A job id: a random UUID in its canonical lower-case form."""
    return str(uuid.uuid4())


def is_job_id(text: str) -> bool:
    """Whether a text is a UUID in that form."""
    return _UUID.fullmatch(text) is not None


# ---------------------------------------------------------------------------------------------- parts


@frozen
class Device:
    """What the backend computes on. Memory in bytes; VRAM is None where there is no such thing."""

    kind: DeviceKind
    name: str = field(validator=_name)
    vram_total: int | None
    vram_free: int | None
    ram_total: int
    ram_free: int


@frozen
class PresetOffer:
    """Whether the backend can run a preset, and the reason in a sentence when it cannot."""

    name: str = field(validator=_name)
    title: str = field(validator=_name)
    offered: bool
    reason: str = field(default="", validator=_text)
    missing_models: tuple[str, ...] = ()


@frozen
class StageTime:
    """How long one stage ran, in seconds of wall-clock time."""

    stage: str = field(validator=_name)
    title: str = field(validator=_name)
    seconds: float = field(validator=_seconds)


@frozen
class WarningNote:
    """A warning that was given in a job."""

    code: str = field(validator=_name)
    message: str = field(validator=_text)
    remedy: str = field(default="", validator=_text)


@frozen
class JobReport:
    """The account of a finished job: what ran, from what, how long."""

    recipe: str = field(validator=_name)
    preset: str = field(validator=_name)
    seed: int
    picture_sha256: str = field(validator=validators.matches_re(r"[0-9a-f]{64}"))
    seconds: float = field(validator=_seconds)
    stages: tuple[StageTime, ...]
    warnings: tuple[WarningNote, ...]
    versions: dict[str, str]


@frozen
class JobSummary:
    """One line of a job list. Times in seconds since 1970."""

    job: str = field(validator=_job)
    name: str = field(validator=_name)
    state: JobState
    preset: str = field(validator=_name)
    seed: int
    created: float = field(validator=_finite)
    started: float | None = field(validator=_finite)
    finished: float | None = field(validator=_finite)
    stage: str = field(validator=_name)
    fraction: float = field(validator=_fraction)
    last_number: int = field(validator=_not_negative)
    error: str = field(default="", validator=_name)


# ---------------------------------------------------------------------------------------------- client


@frozen
class Hello:
    """Opens a connection. ``client`` is name/version."""

    protocol: str = field(validator=validators.max_len(32))
    client: str = field(validator=_name)


@frozen
class Ping:
    """Asks for :class:`Pong`."""


@frozen
class Submit:
    """Makes a job from a picture (the file's bytes as the one blob)."""

    job: str = field(validator=_job)
    name: str = field(validator=_name)
    params: GenerateParams
    picture: ImageRef


@frozen
class Cancel:
    """Stops a job, whether it waits or runs."""

    job: str = field(validator=_job)


@frozen
class Attach:
    """Asks for the events with a number greater than ``after``, and for those to come."""

    job: str = field(validator=_job)
    after: int = field(default=0, validator=_not_negative)


@frozen
class ListJobs:
    """Asks for the newest ``limit`` jobs."""

    limit: int = field(default=100, validator=[validators.ge(1), validators.le(MAX_LISTED_JOBS)])


ClientMessage = Hello | Ping | Submit | Cancel | Attach | ListJobs

# ---------------------------------------------------------------------------------------------- server


@frozen
class Welcome:
    """Who the backend is and what it offers. ``instance`` is new with every start."""

    protocol: str = field(validator=validators.max_len(32))
    server: str = field(validator=_name)
    instance: str = field(validator=_job)
    heartbeat_seconds: float = field(validator=[validators.gt(0), validators.le(3600)])
    device: Device
    presets: tuple[PresetOffer, ...]
    missing_models: tuple[str, ...] = ()


@frozen
class Pong:
    """The answer to :class:`Ping`."""

    instance: str = field(validator=_job)


@frozen
class Refused:
    """A message that was not carried out. ``about`` is its type, ``job`` its job if it has one."""

    about: str = field(validator=_name)
    job: str | None = field(validator=validators.optional(_job))
    code: str = field(validator=_name)
    message: str = field(validator=_text)
    remedy: str = field(default="", validator=_text)


@frozen
class JobList:
    """The answer to :class:`ListJobs`, newest first."""

    jobs: tuple[JobSummary, ...]


@frozen(kw_only=True)
class Event:
    """What all events have. ``number`` 0 marks a passing event; ``time`` in seconds since 1970."""

    job: str = field(validator=_job)
    number: int = field(default=0, validator=_not_negative)
    time: float = field(default=0.0, validator=_finite)


@frozen(kw_only=True)
class Queued(Event):
    """The job waits; ``position`` jobs stand before it."""

    position: int = field(validator=_not_negative)


@frozen(kw_only=True)
class StageStarted(Event):
    """Stage ``index`` of ``count`` begins. ``title`` is for people."""

    stage: str = field(validator=_name)
    title: str = field(validator=_name)
    index: int = field(validator=_not_negative)
    count: int = field(validator=validators.ge(1))


@frozen(kw_only=True)
class Progress(Event):
    """``step`` of ``steps`` of the stage is done, and ``fraction`` (0 to 1) of the whole job."""

    stage: str = field(validator=_name)
    step: int = field(validator=_not_negative)
    steps: int = field(validator=validators.ge(1))
    fraction: float = field(validator=_fraction)
    eta_seconds: float | None = field(default=None, validator=_finite)


@frozen(kw_only=True)
class Preview(Event):
    """A picture of the work so far."""

    stage: str = field(validator=_name)
    image: ImageRef

    def __attrs_post_init__(self) -> None:
        expect_backend_image(self.image)


@frozen(kw_only=True)
class MeshReady(Event):
    """A mesh; each one replaces the one before."""

    quality: Quality
    mesh: MeshRef


@frozen(kw_only=True)
class WarningRaised(Event):
    """Something that the user should know, though the job goes on."""

    code: str = field(validator=_name)
    message: str = field(validator=_text)
    remedy: str = field(default="", validator=_text)


@frozen(kw_only=True)
class Finished(Event):
    """The job is done; its final mesh came before."""

    report: JobReport


@frozen(kw_only=True)
class Failed(Event):
    """The job failed."""

    code: str = field(validator=_name)
    message: str = field(validator=_text)
    remedy: str = field(default="", validator=_text)


@frozen(kw_only=True)
class Cancelled(Event):
    """The job was cancelled."""


JobEvent = Queued | StageStarted | Progress | Preview | MeshReady | WarningRaised | Finished | Failed | Cancelled
ServerMessage = Welcome | Pong | Refused | JobList | JobEvent

TERMINAL_EVENTS = (Finished, Failed, Cancelled)
"""Exactly one of these ends a job."""

TAGS: dict[type, str] = {
    Hello: "hello",
    Ping: "ping",
    Submit: "submit",
    Cancel: "cancel",
    Attach: "attach",
    ListJobs: "list_jobs",
    Welcome: "welcome",
    Pong: "pong",
    Refused: "refused",
    JobList: "job_list",
    Queued: "queued",
    StageStarted: "stage_started",
    Progress: "progress",
    Preview: "preview",
    MeshReady: "mesh_ready",
    WarningRaised: "warning",
    Finished: "finished",
    Failed: "failed",
    Cancelled: "cancelled",
}
"""The value of ``type`` for each class."""


def blob_refs(message: object) -> list[ArrayRef | ImageRef]:
    """The descriptors of all blobs that a message carries."""
    match message:
        case Submit(picture=picture):
            return [picture]
        case Preview(image=image):
            return [image]
        case MeshReady(mesh=mesh):
            return mesh.refs()
        case _:
            return []
