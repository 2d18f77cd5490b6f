"""The four recipes with tiny models on one backend: what people get of them, and that they get it again.

First the command line asks for every kind of job. Then, when nothing of these is kept, the same jobs are asked for in
another order, and the worker and the backend are killed in the middle.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import trimesh
from tests.fakes.backend_process import collect
from tests.fakes.complaints import complaints
from tests.fakes.learned_backend import LearnedBackend
from tests.fakes.recipe_jobs import RecipeJob, recipe_jobs

from kiss3d_backend.commands.job_request import make_submit
from kiss3d_backend.models.hub_cache import HubCache
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.reports.record import Report, report_from_json
from kiss3d_protocol.client import Client
from kiss3d_protocol.messages import Event, Finished, MeshReady, Preview, StageStarted, WarningRaised
from kiss3d_protocol.payloads import sha256_of
from kiss3d_protocol.session import Received

pytest.importorskip("torch", reason="the pipeline needs torch")

FACES = 1000
PATIENCE = 250
BUNDLE_TO_MESH = ["split_bundle", "coarse", "fit_coarse", "start", "refine", "finish", "texture"]


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RecipeJob]:
    return recipe_jobs(tmp_path_factory.mktemp("inputs"), FACES, texture_size=1024)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LearnedBackend]:
    with LearnedBackend(tmp_path_factory.mktemp("machine")) as running:
        yield running


@attrs.frozen
class Made:
    """What the command line left: its JSON, what it said, the GLB and the report."""

    told: dict[str, Any]
    said: str
    mesh: Path
    report: Report


@pytest.fixture(scope="module")
def made(
    backend: LearnedBackend, jobs: dict[str, RecipeJob], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Made]:
    """Every job from the command line, one after the other."""
    folder = tmp_path_factory.mktemp("made")
    return {name: _from_the_command_line(backend, job, folder / name) for name, job in jobs.items()}


def _from_the_command_line(backend: LearnedBackend, job: RecipeJob, output: Path) -> Made:
    mesh, report = output.with_suffix(".glb"), output.with_suffix(".json")
    words = (*job.arguments, "-o", mesh, "--report", report, "--connect", backend.address, "--json")
    command = [sys.executable, "-m", "kiss3d_backend", "generate", *map(str, words)]
    done = subprocess.run(
        command, env=backend.machine.environment, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    told = json.loads(done.stdout.splitlines()[-1])
    return Made(told, done.stderr, mesh, report_from_json(report.read_text(encoding="utf-8")))


@pytest.mark.timeout(900)
def test_every_recipe_from_the_command_line(made: dict[str, Made], jobs: dict[str, RecipeJob]) -> None:
    """A coarse and a final mesh; nothing that a library complained about, and a bundle that needs no word."""
    for name, each in made.items():
        assert [stage["stage"] for stage in each.told["stages"]] == jobs[name].stages + BUNDLE_TO_MESH, name
        assert not [stage.stage for stage in each.report.run.stages if stage.from_checkpoint], name
        assert complaints(each.said) == [] and "Coarse mesh:" in each.said and "Final mesh:" in each.said, each.said
        kinds = {picture.kind for picture in each.report.run.pictures}
        assert kinds >= {"turntable"} | ({"bundle"} & set(jobs[name].stages)), (name, kinds)
        # Of four views the normals are those of the LRM's shape, which here is always a ball.
        doubtful = [note for note in each.told["warnings"] if note["code"].startswith("bundle.")]
        assert name == "views" or not doubtful, doubtful
        mesh = trimesh.load(each.mesh, force="mesh")
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
        assert mesh.is_watertight and len(mesh.faces) == pytest.approx(FACES, rel=0.05)
        if name in ("bundle", "views"):
            assert head_and_shoulders(mesh) < 0.7, f"the bust of the {name} stands upright"


def head_and_shoulders(mesh: trimesh.Trimesh) -> float:
    """How wide the uppermost quarter of a mesh is (along x), in widths of its lowest half."""
    low, high = mesh.bounds
    heights = (mesh.vertices[:, 1] - low[1]) / (high[1] - low[1])
    return float(np.ptp(mesh.vertices[heights > 0.75, 0]) / np.ptp(mesh.vertices[heights < 0.5, 0]))


def test_the_report_of_a_picture(backend: LearnedBackend, made: dict[str, Made], jobs: dict[str, RecipeJob]) -> None:
    report = made["picture"].report
    stages = [each["stage"] for each in made["picture"].told["stages"]]
    assert report.job.state == "finished" and report.job.params == jobs["picture"].params
    assert [(each.stage, each.completed) for each in report.run.stages] == [(stage, True) for stage in stages]
    loaded = {load.name.split()[0] for stage in report.run.stages for load in stage.loads}
    assert loaded >= {"birefnet", "lrm", "multiview_unet", "zero123plus", "florence2"}
    cache = HubCache(Path(backend.machine.environment["HF_HOME"]) / "hub")
    entries = ModelStore(backend.machine.data, cache=cache).preset("fast").entries
    assert {file.entry for file in report.run.files} == {entry.entry.name for entry in entries}
    told = {(file.entry, file.file): file.sha256 for file in report.run.files}
    plain = [(entry, file) for entry in entries for file in entry.files if file.status == "verified"]
    assert len(plain) > 5 and all(len(sha256) == 64 for sha256 in told.values())
    for entry, file in plain:
        assert file.path is not None
        assert told[entry.entry.name, file.file.loaded_name] == sha256_of(file.path.read_bytes())
    borders = {check.view: check for check in report.run.checks if check.name == "bundle.white_frame"}
    assert sorted(borders) == [0, 1, 2, 3] and all(check.passed for check in borders.values())
    kinds = [(picture.kind, picture.quality) for picture in report.run.pictures]
    assert kinds.count(("bundle", "")) == 1
    assert ("turntable", "final") in kinds and ("preview", "") in kinds
    page = (backend.machine.data / "jobs" / made["picture"].told["job"] / "report.html").read_text(encoding="utf-8")
    assert len(page) < 2_000_000 and page.count("<img") == len(report.run.pictures)


@pytest.mark.timeout(900)
def test_the_same_again_in_another_order_and_after_kills(
    backend: LearnedBackend, made: dict[str, Made], jobs: dict[str, RecipeJob]
) -> None:
    with Client(backend.address, "test/1") as client:
        client.connected(60)
        first = {name: _final(_events(client, each.told["job"], attach=True)) for name, each in made.items()}
        backend.forget_checkpoints()

        events = _events(client, _submitted(client, jobs["mesh"]))
        assert _final(events) == first["mesh"]
        assert [event for event in events if isinstance(event, Preview)]
        qualities = [event.quality for event in events if isinstance(event, MeshReady)]
        assert (qualities[0], qualities[-1]) == ("coarse", "final")

        job = _submitted(client, jobs["words"])
        _reached(client, job, "refine")
        backend.worker().kill()
        events = _events(client, job)
        assert [event.code for event in events if isinstance(event, WarningRaised)][:1] == ["job.worker_died"]
        assert _final(events) == first["words"]
        assert {"prompt", "bundle"} <= _from_checkpoints(backend, job)

        job = _submitted(client, jobs["picture"])
        _reached(client, job, "caption")
        backend.kill_and_start_again()
        assert _final(_events(client, job)) == first["picture"]
        kept = _from_checkpoints(backend, job)
        assert "multiview" in kept and "bundle" not in kept


def _submitted(client: Client, job: RecipeJob) -> str:
    submit, blobs = make_submit(job.files, job.params)
    client.submit(submit, blobs)
    return submit.job


def _reached(client: Client, job: str, stage: str) -> None:
    """Waits until the job is in the stage; there must have been a preview before."""
    previews = 0
    while True:
        news = client.wait(PATIENCE)
        assert news is not None, f"{stage} was not reached"
        message = news.message if isinstance(news, Received) else None
        assert not isinstance(message, Finished)
        previews += isinstance(message, Preview)
        if isinstance(message, StageStarted) and (message.job, message.stage) == (job, stage):
            assert previews
            return


def _events(client: Client, job: str, *, attach: bool = False) -> list[Event]:
    if attach:
        client.attach(job)
    events = collect(client, job, PATIENCE)
    assert isinstance(events[-1], Finished), events[-1]
    return events


def _final(events: list[Event]) -> dict[str, str]:
    """The sha256 of every array and picture of the final mesh."""
    (mesh,) = [event.mesh for event in events if isinstance(event, MeshReady) and event.quality == "final"]
    parts = {name: getattr(mesh, name) for name in ("positions", "triangles", "uvs", "uv_triangles", "texture")}
    assert all(part is not None for part in parts.values())
    return {name: part.sha256 for name, part in parts.items()}


def _from_checkpoints(backend: LearnedBackend, job: str) -> set[str]:
    path = backend.machine.data / "jobs" / job / "report.json"
    report = report_from_json(path.read_text(encoding="utf-8"))
    return {stage.stage for stage in report.run.stages if stage.from_checkpoint}


def test_no_stage_raised_a_warning_of_a_library(backend: LearnedBackend, made: dict[str, Made]) -> None:
    log = backend.log
    assert "finished" in log and len(made) == 5
    assert [line for line in log.splitlines() if "Warning:" in line] == []
    assert complaints(log) == []
