"""Hypothesis strategies for every message: anything that the spec allows."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from kiss3d_protocol import fetching
from kiss3d_protocol import messages as m
from kiss3d_protocol import models as model_messages
from kiss3d_protocol.params import FACES_RANGE, MAX_BUNDLES, MAX_SEED, TEXTURE_SIZES, GenerateParams
from kiss3d_protocol.payloads import (
    BACKEND_IMAGE_TYPES,
    IMAGE_TYPES,
    MAX_BLOB_TO_CLIENT,
    Blob,
    BlobWriter,
    FileRef,
    ImageRef,
    MeshRef,
    sha256_of,
)
from kiss3d_protocol.security import key_from_bytes
from kiss3d_protocol.version import PROTOCOL_VERSION

jobs = st.uuids().map(str)
names = st.text(max_size=12) | st.just("é" * m.MAX_NAME)
texts = st.text(max_size=20)
floats = st.floats(allow_nan=False, allow_infinity=False)
seconds = st.floats(min_value=0, allow_infinity=False)
fractions = st.floats(0, 1)
counts = st.integers(0, 2**63 - 1)
sha256s = st.binary(min_size=32, max_size=32).map(bytes.hex)
keys = st.binary(min_size=32, max_size=32).map(key_from_bytes)
short_names = st.text(max_size=12) | st.just("é" * 64)
params = st.builds(
    GenerateParams,
    preset=short_names,
    seed=st.integers(0, MAX_SEED),
    recipe=short_names,
    prompt=texts,
    faces=st.none() | st.integers(*FACES_RANGE),
    texture_size=st.none() | st.sampled_from(TEXTURE_SIZES),
    bundle_seed=st.none() | st.integers(0, MAX_SEED),
    bundles=st.integers(1, MAX_BUNDLES),
    choose=st.booleans(),
    write_prompt=st.booleans(),
    redraw=st.booleans(),
)
models = st.lists(names, max_size=3).map(tuple)
notes = st.builds(m.WarningNote, names, texts, texts)
summaries = st.builds(
    m.JobSummary,
    job=jobs,
    name=names,
    state=st.sampled_from(["queued", "running", "finished", "failed", "cancelled"]),
    preset=names,
    seed=counts,
    created=floats,
    started=st.none() | floats,
    finished=st.none() | floats,
    stage=names,
    fraction=fractions,
    last_number=counts,
    error=names,
    recipe=names,
)
reports = st.builds(
    m.JobReport,
    recipe=names,
    preset=names,
    seed=counts,
    picture_sha256=sha256s,
    seconds=seconds,
    stages=st.lists(st.builds(m.StageTime, names, names, seconds), max_size=3).map(tuple),
    warnings=st.lists(notes, max_size=2).map(tuple),
    versions=st.dictionaries(names, texts, max_size=3),
)
devices = st.builds(
    m.Device, st.sampled_from(["cpu", "cuda", "mps"]), names, st.none() | counts, st.none() | counts, counts, counts
)
statuses = st.builds(
    m.Status,
    server=names,
    instance=jobs,
    uptime_seconds=seconds,
    stopping=st.booleans(),
    worker=st.sampled_from(["stopped", "starting", "idle", "busy"]),
    running=counts,
    waiting=counts,
    clients=counts,
    device=devices,
    memory=counts,
    disk_used=st.none() | counts,
    disk_free=counts,
    problems=st.lists(notes, max_size=2).map(tuple),
    jobs=st.lists(summaries, max_size=2).map(tuple),
    connections=st.lists(st.builds(m.Connection, names, names, seconds), max_size=2).map(tuple),
    workers=st.lists(
        st.builds(
            m.WorkerStatus,
            names,
            st.sampled_from(["stopped", "starting", "idle", "busy"]),
            st.none() | devices,
            counts,
            st.lists(names, max_size=2).map(tuple),
            st.none() | jobs,
        ),
        max_size=2,
    ).map(tuple),
)
welcomes = st.builds(
    m.Welcome,
    protocol=st.just(PROTOCOL_VERSION),
    server=names,
    instance=jobs,
    heartbeat_seconds=st.floats(0.01, 3600),
    device=devices,
    presets=st.lists(st.builds(m.PresetOffer, names, names, st.booleans(), texts, models, counts), max_size=3).map(
        tuple
    ),
    missing_models=models,
    bytes_to_get=counts,
)
model_infos = st.builds(
    model_messages.ModelInfo,
    name=names,
    title=names,
    repository=names,
    revision=names,
    licence=names,
    gated=st.booleans(),
    presets=models,
    size=counts,
    have=counts,
    state=st.sampled_from(["missing", "partial", "present", "ready"]),
    sha256=st.sampled_from(["known", "pinned", "unknown"]),
    local=st.booleans(),
)


@st.composite
def submits(draw: st.DrawFn) -> tuple[m.Submit, list[Blob]]:
    writer = BlobWriter()
    sides = st.integers(0, 10_000)

    def image() -> ImageRef:
        data, media_type = draw(st.binary(max_size=50)), draw(st.sampled_from(IMAGE_TYPES))
        return writer.image(data, media_type, draw(sides), draw(sides))

    picture = image() if draw(st.booleans()) else None
    views = tuple(image() for _ in range(draw(st.integers(0, m.MAX_VIEWS))))
    mesh = _mesh(draw, writer) if draw(st.booleans()) else None
    return m.Submit(draw(jobs), draw(names), draw(params), picture, views, mesh), writer.blobs


@st.composite
def bundles_ready(draw: st.DrawFn) -> tuple[m.BundlesReady, list[Blob]]:
    writer = BlobWriter()
    bundles = tuple(
        m.BundleOffer(writer.image(draw(st.binary(max_size=9)), draw(st.sampled_from(BACKEND_IMAGE_TYPES))), seed)
        for seed in draw(st.lists(counts, max_size=MAX_BUNDLES))
    )
    event = m.BundlesReady(**draw(_event_fields()), stage=draw(names), bundles=bundles, waiting=draw(st.booleans()))
    return event, writer.blobs


@st.composite
def previews(draw: st.DrawFn) -> tuple[m.Preview, list[Blob]]:
    writer = BlobWriter()
    image = writer.image(draw(st.binary(max_size=50)), draw(st.sampled_from(BACKEND_IMAGE_TYPES)))
    return m.Preview(**draw(_event_fields()), stage=draw(names), image=image, text=draw(texts)), writer.blobs


@st.composite
def meshes(draw: st.DrawFn) -> tuple[m.MeshReady, list[Blob]]:
    writer = BlobWriter()
    mesh = _mesh(draw, writer)
    qualities: list[m.Quality] = ["coarse", "refined", "final"]
    fields = draw(_event_fields())
    event = m.MeshReady(**fields, quality=draw(st.sampled_from(qualities)), mesh=mesh, bundle=draw(counts))
    return event, writer.blobs


def _mesh(draw: st.DrawFn, writer: BlobWriter) -> MeshRef:
    vertices, triangles, rows = (draw(st.integers(0, 5)) for _ in range(3))

    def array(dtype: str, shape: tuple[int, int]) -> Any:
        size = shape[0] * shape[1] * int(dtype[-1])
        data = draw(st.binary(min_size=size, max_size=size))
        return writer.array(data, dtype, shape)

    uvs = draw(st.sampled_from(["none", "per vertex", "per corner"]))
    return MeshRef(
        positions=array("<f4", (vertices, 3)),
        triangles=array("<u4", (triangles, 3)),
        uvs=None if uvs == "none" else array("<f4", (vertices if uvs == "per vertex" else rows, 2)),
        uv_triangles=array("<u4", (triangles, 3)) if uvs == "per corner" else None,
        colours=array("|u1", (vertices, 4)) if draw(st.booleans()) else None,
        texture=writer.image(b"x", "image/webp") if draw(st.booleans()) else None,
        normal_map=writer.image(b"y", "image/png") if uvs != "none" and draw(st.booleans()) else None,
    )


@st.composite
def report_files(draw: st.DrawFn) -> tuple[m.ReportFiles, list[Blob]]:
    data, page = draw(st.binary(max_size=20)), draw(st.binary(max_size=20))
    refs = FileRef(0, "json", len(data), sha256_of(data)), FileRef(1, "html", len(page), sha256_of(page))
    return m.ReportFiles(draw(jobs), *refs), [data, page]


@st.composite
def chunks(draw: st.DrawFn) -> tuple[fetching.Chunk, list[Blob]]:
    writer = BlobWriter()
    piece = writer.piece(draw(st.binary(max_size=20)))
    total = draw(st.integers(0, MAX_BLOB_TO_CLIENT))
    return fetching.Chunk(draw(jobs), draw(sha256s), draw(counts), total, piece), writer.blobs


@st.composite
def results(draw: st.DrawFn) -> tuple[fetching.JobResult, list[Blob]]:
    writer = BlobWriter()
    mesh = _mesh(draw, writer)
    qualities: list[m.Quality] = ["coarse", "refined", "final"]
    places = draw(counts), draw(st.integers(1, 9))
    return fetching.JobResult(draw(jobs), *places, draw(st.sampled_from(qualities)), mesh, draw(counts)), writer.blobs


def _event_fields() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"job": jobs, "number": counts, "time": floats})


def _events(cls: type, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(cls, job=jobs, number=counts, time=floats, **fields)


def _alone(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, list[Blob]]]:
    return strategy.map(lambda message: (message, []))


CLIENT = {
    m.Hello: _alone(st.builds(m.Hello, st.text(max_size=32), names)),
    m.Ping: _alone(st.just(m.Ping())),
    m.Submit: submits(),
    m.Cancel: _alone(st.builds(m.Cancel, jobs)),
    m.Attach: _alone(st.builds(m.Attach, jobs, counts)),
    m.ListJobs: _alone(st.builds(m.ListJobs, st.integers(1, m.MAX_LISTED_JOBS))),
    m.Choose: _alone(st.builds(m.Choose, jobs, st.lists(counts, max_size=MAX_BUNDLES).map(tuple))),
    m.GetReport: _alone(st.builds(m.GetReport, jobs)),
    fetching.GetResults: _alone(st.builds(fetching.GetResults, jobs)),
    fetching.Fetch: _alone(st.builds(fetching.Fetch, jobs, sha256s, counts, st.integers(1, fetching.MAX_CHUNK))),
    m.GetStatus: _alone(st.just(m.GetStatus())),
    m.Delete: _alone(st.builds(m.Delete, jobs)),
    m.ListModels: _alone(st.just(m.ListModels())),
    m.PullModels: _alone(st.builds(m.PullModels, st.none() | short_names, models)),
    m.CancelPull: _alone(st.just(m.CancelPull())),
    m.Pair: _alone(st.builds(m.Pair, protocol=st.just(PROTOCOL_VERSION), client=names, public_key=keys)),
}
SERVER = {
    m.Welcome: _alone(welcomes),
    m.Pong: _alone(st.builds(m.Pong, jobs)),
    m.Refused: _alone(st.builds(m.Refused, names, st.none() | jobs, names, texts, texts)),
    m.JobList: _alone(st.builds(m.JobList, st.lists(summaries, max_size=2).map(tuple))),
    m.ReportFiles: report_files(),
    fetching.JobResult: results(),
    fetching.Chunk: chunks(),
    fetching.FetchFailed: _alone(st.builds(fetching.FetchFailed, jobs, sha256s, names, texts, texts)),
    m.Status: _alone(statuses),
    m.Deleted: _alone(st.builds(m.Deleted, jobs)),
    m.ModelList: _alone(st.builds(m.ModelList, st.lists(model_infos, max_size=2).map(tuple), models)),
    m.PullProgress: _alone(
        st.builds(
            m.PullProgress,
            st.sampled_from(["describe", "verify", "download", "convert"]),
            names,
            names,
            counts,
            counts,
            seconds,
            st.none() | seconds,
        ),
    ),
    m.PullFinished: _alone(st.builds(m.PullFinished, models)),
    m.PullFailed: _alone(st.builds(m.PullFailed, names, texts, texts)),
    m.PullCancelled: _alone(st.just(m.PullCancelled())),
    m.NewBackendKey: _alone(st.builds(m.NewBackendKey, public_key=keys)),
    m.Paired: _alone(st.builds(m.Paired, name=names, admin=st.booleans())),
    m.Queued: _alone(_events(m.Queued, position=counts)),
    m.StageStarted: _alone(
        _events(m.StageStarted, stage=names, title=names, index=counts, count=st.integers(1, 2**63 - 1))
    ),
    m.Progress: _alone(
        _events(
            m.Progress,
            stage=names,
            step=counts,
            steps=st.integers(1, 2**63 - 1),
            fraction=fractions,
            eta_seconds=st.none() | floats,
        )
    ),
    m.Preview: previews(),
    m.BundlesReady: bundles_ready(),
    m.MeshReady: meshes(),
    m.WarningRaised: _alone(_events(m.WarningRaised, code=names, message=texts, remedy=texts)),
    m.Finished: _alone(_events(m.Finished, report=reports)),
    m.Failed: _alone(_events(m.Failed, code=names, message=texts, remedy=texts)),
    m.Cancelled: _alone(_events(m.Cancelled)),
}
"""For each class its messages with their blobs."""
