"""One message of each type with fixed content, the same on every run."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from kiss3d_protocol.deletion import Delete, Deleted
from kiss3d_protocol.fetching import Chunk, Fetch, FetchFailed, GetResults, JobResult
from kiss3d_protocol.messages import (
    Attach,
    BundleOffer,
    BundlesReady,
    Cancel,
    Cancelled,
    Choose,
    ClientMessage,
    Connection,
    Device,
    Failed,
    Finished,
    GetReport,
    GetStatus,
    Hello,
    JobList,
    JobReport,
    JobSummary,
    ListJobs,
    MeshReady,
    Ping,
    Pong,
    PresetOffer,
    Preview,
    Progress,
    Queued,
    Refused,
    ReportFiles,
    ServerMessage,
    StageStarted,
    StageTime,
    Status,
    Submit,
    WarningNote,
    WarningRaised,
    Welcome,
    WorkerStatus,
)
from kiss3d_protocol.models import (
    CancelPull,
    ListModels,
    ModelInfo,
    ModelList,
    PullCancelled,
    PullFailed,
    PullFinished,
    PullModels,
    PullProgress,
)
from kiss3d_protocol.pairing import NewBackendKey, Pair, Paired
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import Blob, BlobWriter, FileRef, MeshRef, sha256_of
from kiss3d_protocol.version import PROTOCOL_VERSION

JOB = "0b8f7c1e-5a55-4d5e-9b1e-0123456789ab"
OTHER_JOB = "11111111-2222-4333-8444-555555555555"
INSTANCE = "9d6b8a44-7a0c-4f0e-8f57-ba9876543210"
OTHER_INSTANCE = "22222222-2222-4222-8222-222222222222"
PICTURE = b"\x89PNG\r\n\x1a\n, as it were"
TIME = 1_700_000_000.5
PUBLIC_KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
"""The server's public key in the test vectors of ZeroMQ's manual of CURVE."""

Sample = tuple[ClientMessage | ServerMessage, Sequence[Blob]]


def welcome(
    instance: str = INSTANCE, *, protocol: str = PROTOCOL_VERSION, heartbeat: float = 2.0, ram_free: int = 1
) -> Welcome:
    return Welcome(
        protocol=protocol,
        server="kiss3d/0.1.0",
        instance=instance,
        heartbeat_seconds=heartbeat,
        device=Device("cuda", "A card", 24 * 2**30, 20 * 2**30, 64 * 2**30, ram_free),
        presets=(
            PresetOffer("draft", "Draft", True),
            PresetOffer("fast", "Fast", False, "No model.", ("flux",), 17_200),
        ),
        missing_models=("flux",),
        bytes_to_get=17_200,
    )


def submit(job: str = JOB, picture: bytes = PICTURE, seed: int = 7) -> tuple[Submit, list[Blob]]:
    writer = BlobWriter()
    image = writer.image(picture, "image/png", 640, 480)
    return Submit(job, "chair.png", GenerateParams("draft", seed), image), writer.blobs


def submit_of_everything() -> tuple[Submit, list[Blob]]:
    """With every input that there is, though no recipe takes them all."""
    writer = BlobWriter()
    params = GenerateParams("draft", 7, "views_to_3d", "a chair", 20_000, 2048, 4, True, None, True, False)
    picture = writer.image(PICTURE, "image/png", 640, 480)
    views = tuple(writer.image(b"view %d" % number, "image/webp") for number in range(4))
    return Submit(JOB, "chair.png", params, picture, views, _mesh(writer)), writer.blobs


def mesh_ready(job: str = JOB, number: int = 4) -> tuple[MeshReady, list[Blob]]:
    writer = BlobWriter()
    mesh = _mesh(writer)
    return MeshReady(job=job, number=number, time=TIME, quality="final", mesh=mesh, bundle=1), writer.blobs


def _mesh(writer: BlobWriter) -> MeshRef:
    corners = [(-0.5, -0.5, 0.0), (0.5, -0.5, 0.0), (0.5, 0.5, 0.0), (-0.5, 0.5, 0.0)]
    return MeshRef(
        positions=writer.array(struct.pack("<12f", *sum(corners, ())), "<f4", (4, 3)),
        triangles=writer.array(struct.pack("<6I", 0, 1, 2, 0, 2, 3), "<u4", (2, 3)),
        uvs=writer.array(struct.pack("<6f", 0, 0, 1, 0, 1, 1), "<f4", (3, 2)),
        uv_triangles=writer.array(struct.pack("<6I", 0, 1, 2, 2, 1, 0), "<u4", (2, 3)),
        colours=writer.array(bytes(range(16)), "|u1", (4, 4)),
        texture=writer.image(PICTURE, "image/png", 1024, 1024),
        normal_map=writer.image(b"RIFF normals", "image/webp", 1024, 1024),
    )


def bundles_ready(job: str = JOB, number: int = 3, *, waiting: bool = True) -> tuple[BundlesReady, list[Blob]]:
    writer = BlobWriter()
    bundles = tuple(
        BundleOffer(writer.image(b"RIFF bundle %d" % seed, "image/webp", 2048, 1024), seed) for seed in (7, 8)
    )
    event = BundlesReady(job=job, number=number, time=TIME, stage="bundles", bundles=bundles, waiting=waiting)
    return event, writer.blobs


def model(name: str = "flux-schnell") -> ModelInfo:
    return ModelInfo(
        name=name,
        title="Draws the bundle",
        repository="someone/flux",
        revision="main",
        licence="apache-2.0",
        gated=True,
        presets=("fast",),
        size=17_200,
        have=200,
        state="partial",
        sha256="pinned",
        local=True,
    )


def preview(job: str = JOB, number: int = 3) -> tuple[Preview, list[Blob]]:
    writer = BlobWriter()
    image = writer.image(b"RIFF, as it were", "image/webp", 256, 256)
    return Preview(job=job, number=number, time=TIME, stage="inflate", image=image, text="a chair"), writer.blobs


def report_files(job: str = JOB) -> tuple[ReportFiles, list[Blob]]:
    data, page = b'{"format": 1}', "<!doctype html><p>\u00e9".encode()
    refs = FileRef(0, "json", len(data), sha256_of(data)), FileRef(1, "html", len(page), sha256_of(page))
    return ReportFiles(job, *refs), [data, page]


def report() -> JobReport:
    return JobReport(
        recipe="draft",
        preset="draft",
        seed=7,
        picture_sha256="ab" * 32,
        seconds=3.25,
        stages=(StageTime("inflate", "Inflating", 1.5),),
        warnings=(WarningNote("background.busy", "The background is busy.", "Use a plain one."),),
        versions={"kiss3d": "0.1.0", "numpy": "2.0"},
    )


def chunk(job: str = JOB) -> tuple[Chunk, list[Blob]]:
    writer = BlobWriter()
    return Chunk(job, "ab" * 32, 65_536, 70_000, writer.piece(b"the end of it")), writer.blobs


def result(job: str = JOB) -> tuple[JobResult, list[Blob]]:
    writer = BlobWriter()
    return JobResult(job, 0, 2, "final", _mesh(writer), 1), writer.blobs


def status(jobs: tuple[JobSummary, ...] = ()) -> Status:
    return Status(
        server="kiss3d/0.1.0",
        instance=INSTANCE,
        uptime_seconds=3600.5,
        stopping=False,
        worker="busy",
        running=1,
        waiting=2,
        clients=3,
        device=welcome().device,
        memory=2**29,
        disk_used=2**32,
        disk_free=2**38,
        problems=(WarningNote("backend.disk_low", "The disk is nearly full.", "Free some."),),
        jobs=jobs,
        connections=(Connection("anna", "blender/0.1.0", 12.5),),
        workers=(WorkerStatus("gpu-box/5f0c1a2b/0", "busy", welcome().device, 2**31, ("lrm",), JOB),),
    )


def client_samples() -> list[Sample]:
    return [
        (Hello(PROTOCOL_VERSION, "blender/0.1.0"), ()),
        (Ping(), ()),
        submit_of_everything(),
        (Cancel(JOB), ()),
        (Attach(JOB, 3), ()),
        (ListJobs(5), ()),
        (Choose(JOB, (0, 2)), ()),
        (GetReport(JOB), ()),
        (GetResults(JOB), ()),
        (Fetch(JOB, "ab" * 32, 65_536, 32_768), ()),
        (GetStatus(), ()),
        (Delete(JOB), ()),
        (ListModels(), ()),
        (PullModels("fast", ("flux-schnell",)), ()),
        (CancelPull(), ()),
        (Pair(PROTOCOL_VERSION, "blender/0.1.0", PUBLIC_KEY), ()),
    ]


def server_samples() -> list[Sample]:
    summary = JobSummary(
        JOB,
        "chair.png",
        "running",
        "draft",
        7,
        TIME,
        TIME + 1,
        None,
        "inflate",
        0.25,
        4,
        "job.worker_died",
        "text_to_3d",
    )
    return [
        (welcome(), ()),
        (Pong(INSTANCE), ()),
        (Refused("submit", JOB, "job.conflict", "It is another job.", "Use another id."), ()),
        (JobList((summary,)), ()),
        report_files(),
        result(),
        chunk(),
        (FetchFailed(JOB, "ab" * 32, "job.artifact_lost", "It is gone.", "Run the job again."), ()),
        (status((summary,)), ()),
        (Deleted(JOB), ()),
        (ModelList((model(),), ("flux-schnell",)), ()),
        (PullProgress("download", "flux-schnell", "flux.safetensors", 200, 17_200, 1024.5, 16.25), ()),
        (PullFinished(("flux-schnell",)), ()),
        (PullFailed("model.gated", "It is gated.", "Accept its licence."), ()),
        (PullCancelled(), ()),
        (Paired("anna", True), ()),
        (NewBackendKey(PUBLIC_KEY), ()),
        (Queued(job=JOB, number=1, time=TIME, position=2), ()),
        (StageStarted(job=JOB, number=2, time=TIME, stage="inflate", title="Inflating", index=1, count=3), ()),
        (Progress(job=JOB, time=TIME, stage="inflate", step=3, steps=10, fraction=0.5, eta_seconds=2.5), ()),
        preview(),
        bundles_ready(),
        mesh_ready(),
        (WarningRaised(job=JOB, number=5, time=TIME, code="w", message="Naïve – 日本.", remedy="None."), ()),
        (Finished(job=JOB, number=6, time=TIME, report=report()), ()),
        (Failed(job=JOB, number=6, time=TIME, code="job.worker_died", message="It died.", remedy="Again."), ()),
        (Cancelled(job=JOB, number=6, time=TIME), ()),
    ]
