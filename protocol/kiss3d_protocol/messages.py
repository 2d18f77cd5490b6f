"""The messages (SPEC.md, sections 5 and 6) as frozen classes.

``ClientMessage`` and ``ServerMessage`` are the tagged unions that :mod:`kiss3d_protocol.framing` reads and
writes.
"""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen, validators

from kiss3d_protocol.deletion import Delete, Deleted
from kiss3d_protocol.fetching import Chunk, Fetch, FetchFailed, GetResults, JobResult
from kiss3d_protocol.models import (
    CancelPull,
    ListModels,
    ModelList,
    PullCancelled,
    PullFailed,
    PullFinished,
    PullModels,
    PullProgress,
)
from kiss3d_protocol.pairing import NewBackendKey, Pair, Paired
from kiss3d_protocol.params import DEFAULT_RECIPE, MAX_BUNDLES, GenerateParams
from kiss3d_protocol.payloads import BlobRef, FileRef, ImageRef, MeshRef, expect_backend_image
from kiss3d_protocol.payloads import Quality as Quality
from kiss3d_protocol.validation import MAX_NAME as MAX_NAME
from kiss3d_protocol.validation import MAX_TEXT as MAX_TEXT
from kiss3d_protocol.validation import amount, finite, fraction, long_text, name_text, not_negative, sha256_text
from kiss3d_protocol.validation import is_job_id as is_job_id
from kiss3d_protocol.validation import new_job_id as new_job_id
from kiss3d_protocol.validation import uuid_text as job_text

MAX_LISTED_JOBS = 1000
MAX_VIEWS = 4

JobState = Literal["queued", "running", "finished", "failed", "cancelled"]
DeviceKind = Literal["cpu", "cuda", "mps"]
WorkerCondition = Literal["stopped", "starting", "idle", "busy"]

# ---------------------------------------------------------------------------------------------- parts


@frozen
class Device:
    """What the backend computes on. Memory in bytes; VRAM is None where there is no such thing."""

    kind: DeviceKind
    name: str = field(validator=name_text)
    vram_total: int | None
    vram_free: int | None
    ram_total: int
    ram_free: int


@frozen
class PresetOffer:
    """Whether the backend can run a preset, and the reason in a sentence when it cannot.

    ``bytes_to_get``: what is missing of its models.
    """

    name: str = field(validator=name_text)
    title: str = field(validator=name_text)
    offered: bool
    reason: str = field(default="", validator=long_text)
    missing_models: tuple[str, ...] = ()
    bytes_to_get: int = field(default=0, validator=not_negative)


@frozen
class BundleOffer:
    """One of the bundles that a job made on its way, and the seed that it was made with."""

    image: ImageRef
    seed: int = field(validator=not_negative)


@frozen
class StageTime:
    """How long one stage ran, in seconds of wall-clock time."""

    stage: str = field(validator=name_text)
    title: str = field(validator=name_text)
    seconds: float = field(validator=amount)


@frozen
class WarningNote:
    """A warning that was given in a job."""

    code: str = field(validator=name_text)
    message: str = field(validator=long_text)
    remedy: str = field(default="", validator=long_text)


@frozen
class JobReport:
    """The account of a finished job: what ran, from what, how long."""

    recipe: str = field(validator=name_text)
    preset: str = field(validator=name_text)
    seed: int
    picture_sha256: str = field(validator=sha256_text)
    seconds: float = field(validator=amount)
    stages: tuple[StageTime, ...]
    warnings: tuple[WarningNote, ...]
    versions: dict[str, str]


@frozen
class JobSummary:
    """One line of a job list. Times in seconds since 1970."""

    job: str = field(validator=job_text)
    name: str = field(validator=name_text)
    state: JobState
    preset: str = field(validator=name_text)
    seed: int
    created: float = field(validator=finite)
    started: float | None = field(validator=finite)
    finished: float | None = field(validator=finite)
    stage: str = field(validator=name_text)
    fraction: float = field(validator=fraction)
    last_number: int = field(validator=not_negative)
    error: str = field(default="", validator=name_text)
    recipe: str = field(default=DEFAULT_RECIPE, validator=name_text)


@frozen
class Connection:
    """One connection to a backend: whose, by which program (name/version), and for how long, in seconds."""

    client: str = field(validator=name_text)
    program: str = field(validator=name_text)
    seconds: float = field(validator=amount)


@frozen
class WorkerStatus:
    """One worker of a backend. ``name``: of its place, for people. ``device``: what jobs run on there, None while it
    has not said so. ``memory``: bytes of its process that are resident. ``networks``: those that it has loaded.
    ``job``: the one that runs there, None also when it is not the asking client's business."""

    name: str = field(validator=name_text)
    condition: WorkerCondition
    device: Device | None = None
    memory: int = field(default=0, validator=not_negative)
    networks: tuple[str, ...] = ()
    job: str | None = field(default=None, validator=validators.optional(job_text))


# ---------------------------------------------------------------------------------------------- client


@frozen
class Hello:
    """Opens a connection. ``client`` is name/version."""

    protocol: str = field(validator=validators.max_len(32))
    client: str = field(validator=name_text)


@frozen
class Ping:
    """Asks for :class:`Pong`."""


@frozen
class Submit:
    """Makes a job. Which of ``picture``, ``views`` and ``mesh`` it takes depends on the recipe.

    Pictures travel as the bytes of their files. ``views``: one bundle picture, or four views.
    """

    job: str = field(validator=job_text)
    name: str = field(validator=name_text)
    params: GenerateParams
    picture: ImageRef | None = None
    views: tuple[ImageRef, ...] = field(default=(), validator=validators.max_len(MAX_VIEWS))
    mesh: MeshRef | None = None


@frozen
class Cancel:
    """Stops a job, whether it waits or runs."""

    job: str = field(validator=job_text)


@frozen
class Attach:
    """Asks for the events with a number greater than ``after``, and for those to come."""

    job: str = field(validator=job_text)
    after: int = field(default=0, validator=not_negative)


@frozen
class ListJobs:
    """Asks for the newest ``limit`` jobs."""

    limit: int = field(default=100, validator=[validators.ge(1), validators.le(MAX_LISTED_JOBS)])


@frozen
class Choose:
    """Answers :class:`BundlesReady` of a job that waits: the bundles, by index, that meshes are made of."""

    job: str = field(validator=job_text)
    indices: tuple[int, ...] = field(validator=validators.deep_iterable(not_negative, validators.max_len(MAX_BUNDLES)))


@frozen
class GetReport:
    """Asks for :class:`ReportFiles` of a job that has ended."""

    job: str = field(validator=job_text)


@frozen
class GetStatus:
    """Asks for :class:`Status`."""


ModelRequest = ListModels | PullModels | CancelPull
ResultRequest = Fetch | GetResults
JobRequest = Submit | Cancel | Delete | Attach | ListJobs | Choose | GetReport
ClientMessage = Hello | Pair | Ping | JobRequest | GetStatus | ModelRequest | ResultRequest

# ---------------------------------------------------------------------------------------------- server


@frozen
class Welcome:
    """Who the backend is and what it offers. ``instance`` is new with every start."""

    protocol: str = field(validator=validators.max_len(32))
    server: str = field(validator=name_text)
    instance: str = field(validator=job_text)
    heartbeat_seconds: float = field(validator=[validators.gt(0), validators.le(3600)])
    device: Device
    presets: tuple[PresetOffer, ...]
    missing_models: tuple[str, ...] = ()
    bytes_to_get: int = field(default=0, validator=not_negative)


@frozen
class Pong:
    """The answer to :class:`Ping`."""

    instance: str = field(validator=job_text)


@frozen
class Refused:
    """A message that was not carried out. ``about`` is its type, ``job`` its job if it has one."""

    about: str = field(validator=name_text)
    job: str | None = field(validator=validators.optional(job_text))
    code: str = field(validator=name_text)
    message: str = field(validator=long_text)
    remedy: str = field(default="", validator=long_text)


@frozen
class JobList:
    """The answer to :class:`ListJobs`, newest first."""

    jobs: tuple[JobSummary, ...]


@frozen
class ReportFiles:
    """The answer to :class:`GetReport`: the account of a job for programs (JSON), and for people (a page of HTML)."""

    job: str = field(validator=job_text)
    data: FileRef
    page: FileRef


@frozen
class Status:
    """The answer to :class:`GetStatus`: how the backend is.

    Of jobs and connections everybody is told how many there are. ``jobs`` are the unfinished ones that are the asking
    client's business, the running ones first; ``connections`` are told to admins. Memory and disk space in bytes:
    ``memory`` of all the backend's processes, ``disk_used`` by its data directory, None while that is being counted.
    ``worker``: what the busiest of the ``workers`` does.
    """

    server: str = field(validator=name_text)
    instance: str = field(validator=job_text)
    uptime_seconds: float = field(validator=amount)
    stopping: bool
    worker: WorkerCondition
    running: int = field(validator=not_negative)
    waiting: int = field(validator=not_negative)
    clients: int = field(validator=not_negative)
    device: Device
    memory: int = field(validator=not_negative)
    disk_used: int | None = field(validator=validators.optional(not_negative))
    disk_free: int = field(validator=not_negative)
    problems: tuple[WarningNote, ...]
    jobs: tuple[JobSummary, ...]
    connections: tuple[Connection, ...]
    workers: tuple[WorkerStatus, ...] = ()


@frozen(kw_only=True)
class Event:
    """What all events have. ``number`` 0 marks a passing event; ``time`` in seconds since 1970."""

    job: str = field(validator=job_text)
    number: int = field(default=0, validator=not_negative)
    time: float = field(default=0.0, validator=finite)


@frozen(kw_only=True)
class Queued(Event):
    """The job waits; ``position`` jobs stand before it."""

    position: int = field(validator=not_negative)


@frozen(kw_only=True)
class StageStarted(Event):
    """Stage ``index`` of ``count`` begins. ``title`` is for people."""

    stage: str = field(validator=name_text)
    title: str = field(validator=name_text)
    index: int = field(validator=not_negative)
    count: int = field(validator=validators.ge(1))


@frozen(kw_only=True)
class Progress(Event):
    """``step`` of ``steps`` of the stage is done, and ``fraction`` (0 to 1) of the whole job."""

    stage: str = field(validator=name_text)
    step: int = field(validator=not_negative)
    steps: int = field(validator=validators.ge(1))
    fraction: float = field(validator=fraction)
    eta_seconds: float | None = field(default=None, validator=finite)


@frozen(kw_only=True)
class Preview(Event):
    """A picture of the work so far. ``text``: its caption, or the words that it was drawn from."""

    stage: str = field(validator=name_text)
    image: ImageRef
    text: str = field(default="", validator=long_text)

    def __attrs_post_init__(self) -> None:
        expect_backend_image(self.image)


@frozen(kw_only=True)
class BundlesReady(Event):
    """The bundles that the job has made. ``waiting``: it goes on when a :class:`Choose` comes, else with all."""

    stage: str = field(validator=name_text)
    bundles: tuple[BundleOffer, ...] = field(validator=validators.max_len(MAX_BUNDLES))
    waiting: bool = False

    def __attrs_post_init__(self) -> None:
        for bundle in self.bundles:
            expect_backend_image(bundle.image)


@frozen(kw_only=True)
class MeshReady(Event):
    """A mesh; each one replaces the one before of the same ``bundle`` (an index into :class:`BundlesReady`)."""

    quality: Quality
    mesh: MeshRef
    bundle: int = field(default=0, validator=not_negative)


@frozen(kw_only=True)
class WarningRaised(Event):
    """Something that the user should know, though the job goes on."""

    code: str = field(validator=name_text)
    message: str = field(validator=long_text)
    remedy: str = field(default="", validator=long_text)


@frozen(kw_only=True)
class Finished(Event):
    """The job is done; its final mesh came before."""

    report: JobReport


@frozen(kw_only=True)
class Failed(Event):
    """The job failed."""

    code: str = field(validator=name_text)
    message: str = field(validator=long_text)
    remedy: str = field(default="", validator=long_text)


@frozen(kw_only=True)
class Cancelled(Event):
    """The job was cancelled."""


JobEvent = (
    Queued
    | StageStarted
    | Progress
    | Preview
    | BundlesReady
    | MeshReady
    | WarningRaised
    | Finished
    | Failed
    | Cancelled
)
PullMessage = PullProgress | PullFinished | PullFailed | PullCancelled
ResultMessage = Chunk | FetchFailed | JobResult
KeyMessage = Paired | NewBackendKey
Answer = Pong | Refused | JobList | ReportFiles | Deleted | Status | ModelList
ServerMessage = Welcome | Answer | PullMessage | KeyMessage | ResultMessage | JobEvent

Fetchable = Event | JobResult
"""Messages whose blobs may stay behind, to be fetched."""

TERMINAL_EVENTS = (Finished, Failed, Cancelled)
"""Exactly one of these ends a job."""

TAGS: dict[type, str] = {
    Hello: "hello",
    Ping: "ping",
    Submit: "submit",
    Cancel: "cancel",
    Attach: "attach",
    ListJobs: "list_jobs",
    Choose: "choose",
    GetReport: "get_report",
    GetStatus: "get_status",
    Delete: "delete",
    ListModels: "list_models",
    PullModels: "pull_models",
    CancelPull: "cancel_pull",
    Pair: "pair",
    Fetch: "fetch",
    GetResults: "get_results",
    Welcome: "welcome",
    Pong: "pong",
    Refused: "refused",
    JobList: "job_list",
    ReportFiles: "report_files",
    Status: "status",
    Deleted: "deleted",
    ModelList: "model_list",
    PullProgress: "pull_progress",
    PullFinished: "pull_finished",
    PullFailed: "pull_failed",
    PullCancelled: "pull_cancelled",
    Paired: "paired",
    Chunk: "chunk",
    FetchFailed: "fetch_failed",
    JobResult: "result",
    NewBackendKey: "new_backend_key",
    Queued: "queued",
    StageStarted: "stage_started",
    Progress: "progress",
    Preview: "preview",
    BundlesReady: "bundles_ready",
    MeshReady: "mesh_ready",
    WarningRaised: "warning",
    Finished: "finished",
    Failed: "failed",
    Cancelled: "cancelled",
}
"""The value of ``type`` for each class."""


def blob_refs(message: object) -> list[BlobRef]:
    """The descriptors of all blobs that a message carries."""
    match message:
        case Submit(picture=picture, views=views, mesh=mesh):
            pictures = views if picture is None else (picture, *views)
            return [*pictures, *(() if mesh is None else mesh.refs())]
        case BundlesReady(bundles=bundles):
            return [bundle.image for bundle in bundles]
        case Preview(image=image):
            return [image]
        case MeshReady(mesh=mesh) | JobResult(mesh=mesh):
            return [*mesh.refs()]
        case Chunk(piece=piece):
            return [piece]
        case ReportFiles(data=data, page=page):
            return [data, page]
        case _:
            return []
