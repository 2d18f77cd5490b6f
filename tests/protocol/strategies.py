"""Hypothesis strategies for every message: anything that the spec allows."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from kiss3d_protocol import messages as m
from kiss3d_protocol.params import MAX_SEED, GenerateParams
from kiss3d_protocol.payloads import BACKEND_IMAGE_TYPES, IMAGE_TYPES, Blob, BlobWriter, MeshRef

jobs = st.uuids().map(str)
names = st.text(max_size=12) | st.just("é" * m.MAX_NAME)
texts = st.text(max_size=20)
floats = st.floats(allow_nan=False, allow_infinity=False)
seconds = st.floats(min_value=0, allow_infinity=False)
fractions = st.floats(0, 1)
counts = st.integers(0, 2**63 - 1)
sha256s = st.binary(min_size=32, max_size=32).map(bytes.hex)
params = st.builds(GenerateParams, names.filter(lambda text: len(text) <= 64), st.integers(0, MAX_SEED))
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
welcomes = st.builds(
    m.Welcome,
    protocol=st.just("1.0"),
    server=names,
    instance=jobs,
    heartbeat_seconds=st.floats(0.01, 3600),
    device=st.builds(
        m.Device,
        st.sampled_from(["cpu", "cuda", "mps"]),
        names,
        st.none() | counts,
        st.none() | counts,
        counts,
        counts,
    ),
    presets=st.lists(st.builds(m.PresetOffer, names, names, st.booleans(), texts, models), max_size=3).map(tuple),
    missing_models=models,
)


@st.composite
def submits(draw: st.DrawFn) -> tuple[m.Submit, list[Blob]]:
    writer = BlobWriter()
    sides = st.integers(0, 10_000)
    image = writer.image(draw(st.binary(max_size=50)), draw(st.sampled_from(IMAGE_TYPES)), draw(sides), draw(sides))
    return m.Submit(draw(jobs), draw(names), draw(params), image), writer.blobs


@st.composite
def previews(draw: st.DrawFn) -> tuple[m.Preview, list[Blob]]:
    writer = BlobWriter()
    image = writer.image(draw(st.binary(max_size=50)), draw(st.sampled_from(BACKEND_IMAGE_TYPES)))
    return m.Preview(**draw(_event_fields()), stage=draw(names), image=image), writer.blobs


@st.composite
def meshes(draw: st.DrawFn) -> tuple[m.MeshReady, list[Blob]]:
    writer = BlobWriter()
    vertices, triangles, rows = (draw(st.integers(0, 5)) for _ in range(3))

    def array(dtype: str, shape: tuple[int, int]) -> Any:
        size = shape[0] * shape[1] * int(dtype[-1])
        data = draw(st.binary(min_size=size, max_size=size))
        return writer.array(data, dtype, shape)

    uvs = draw(st.sampled_from(["none", "per vertex", "per corner"]))
    mesh = MeshRef(
        positions=array("<f4", (vertices, 3)),
        triangles=array("<u4", (triangles, 3)),
        uvs=None if uvs == "none" else array("<f4", (vertices if uvs == "per vertex" else rows, 2)),
        uv_triangles=array("<u4", (triangles, 3)) if uvs == "per corner" else None,
        colours=array("|u1", (vertices, 4)) if draw(st.booleans()) else None,
        texture=writer.image(b"x", "image/webp") if draw(st.booleans()) else None,
    )
    qualities: list[m.Quality] = ["coarse", "refined", "final"]
    quality = draw(st.sampled_from(qualities))
    return m.MeshReady(**draw(_event_fields()), quality=quality, mesh=mesh), writer.blobs


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
}
SERVER = {
    m.Welcome: _alone(welcomes),
    m.Pong: _alone(st.builds(m.Pong, jobs)),
    m.Refused: _alone(st.builds(m.Refused, names, st.none() | jobs, names, texts, texts)),
    m.JobList: _alone(st.builds(m.JobList, st.lists(summaries, max_size=2).map(tuple))),
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
    m.MeshReady: meshes(),
    m.WarningRaised: _alone(_events(m.WarningRaised, code=names, message=texts, remedy=texts)),
    m.Finished: _alone(_events(m.Finished, report=reports)),
    m.Failed: _alone(_events(m.Failed, code=names, message=texts, remedy=texts)),
    m.Cancelled: _alone(_events(m.Cancelled)),
}
"""For each class its messages with their blobs."""
