"""The four recipes with tiny models, as users run them: words, a picture, a mesh and views to a textured mesh."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from tests.fakes.backend_process import BackendProcess, collect
from tests.fakes.complaints import complaints
from tests.fakes.tiny.machine import Machine, machine_with

from kiss3d_backend.commands.job_request import JobFiles, make_submit
from kiss3d_backend.models.hub_cache import HubCache
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.reports.record import report_from_json
from kiss3d_protocol.client import Client
from kiss3d_protocol.messages import BundlesReady, Finished, MeshReady, Preview, StageStarted, WarningRaised
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import sha256_of

pytest.importorskip("torch", reason="the pipeline needs torch")

SHIPPED = Path(__file__).parents[2] / "docs" / "images" / "demo-picture.png"
BUST = Path(__file__).parents[1] / "engine" / "data" / "bundle_bust.webp"
QUICK = "tests.fakes.quick_recipes:quick_recipes"
"""For what goes through the backend; the command line has the steps of the presets."""
SMALL: dict[str, Any] = {"faces": 2000, "texture_size": 1024}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return machine_with(["fast", "prompt_writer"], tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="module")
def backend(machine: Machine) -> Iterator[BackendProcess]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "HF_HOME", "HF_ENDPOINT", "PYTHONWARNINGS"):
            patch.setenv(name, machine.environment[name])
        with BackendProcess(machine.data, recipes=QUICK) as process:
            yield process


def events_of(backend: BackendProcess, files: JobFiles, params: GenerateParams) -> list[Any]:
    submit, blobs = make_submit(files, params)
    with Client(backend.address, "test/1") as client:
        client.connected(10)
        client.submit(submit, blobs)
        return collect(client, submit.job, 200)


def stages(events: list[Any]) -> list[str]:
    return [event.stage for event in events if isinstance(event, StageStarted)]


def finished(events: list[Any]) -> Finished:
    assert isinstance(events[-1], Finished), events[-1]
    return events[-1]


def check_events(events: list[Any]) -> Finished:
    """Previews, a coarse and a final mesh; and nothing that a library complained about."""
    end = finished(events)
    qualities = [event.quality for event in events if isinstance(event, MeshReady)]
    assert qualities[0] == "coarse" and qualities[-1] == "final" and "refined" in qualities
    assert [event for event in events if isinstance(event, Preview)]
    (final,) = [event.mesh for event in events if isinstance(event, MeshReady) and event.quality == "final"]
    assert final.texture is not None and final.triangles.shape[0] == pytest.approx(SMALL["faces"], rel=0.05)
    return end


@pytest.fixture(scope="module")
def from_picture(backend: BackendProcess) -> list[Any]:
    return events_of(backend, JobFiles(SHIPPED), GenerateParams("fast", 3, **SMALL))


def test_a_picture(from_picture: list[Any]) -> None:
    check_events(from_picture)
    assert stages(from_picture)[:7] == [
        "read",
        "background",
        "multiview",
        "reference_shape",
        "reference",
        "caption",
        "bundle",
    ]
    (bundles,) = [event for event in from_picture if isinstance(event, BundlesReady)]
    # A network with random weights draws noise, which the check must not let pass in silence.
    assert {event.code for event in from_picture if isinstance(event, WarningRaised)} >= {"bundle.drawn_again"}
    assert bundles.bundles[0].seed in (3, 4)


def test_the_report_of_a_picture(machine: Machine, from_picture: list[Any]) -> None:
    folder = machine.data / "jobs" / from_picture[-1].job
    report = report_from_json((folder / "report.json").read_text(encoding="utf-8"))
    assert report.job.state == "finished" and report.job.params == GenerateParams("fast", 3, **SMALL)
    assert [(each.stage, each.completed) for each in report.run.stages] == [(s, True) for s in stages(from_picture)]
    loaded = {load.name.split()[0] for stage in report.run.stages for load in stage.loads}
    assert loaded >= {"birefnet", "lrm", "multiview_unet", "zero123plus", "florence2"}
    named = {file.entry for file in report.run.files}
    state = ModelStore(machine.data, cache=HubCache(Path(machine.environment["HF_HOME"]) / "hub"))
    assert named == {entry.entry.name for entry in state.preset("fast").entries}
    told = {(file.entry, file.file): file.sha256 for file in report.run.files}
    plain = [
        (entry, file) for entry in state.preset("fast").entries for file in entry.files if file.status == "verified"
    ]
    assert len(plain) > 5 and all(len(sha256) == 64 for sha256 in told.values())
    for entry, file in plain:
        assert file.path is not None
        assert told[entry.entry.name, file.file.loaded_name] == sha256_of(file.path.read_bytes())
    # The tiny network draws noise, which has no white border: that is there in figures, of every view.
    borders = {check.view: check for check in report.run.checks if check.name == "bundle.white_frame"}
    assert sorted(borders) == [0, 1, 2, 3] and not any(check.passed for check in borders.values())
    assert {(note.code, note.stage) for note in report.run.warnings} >= {("bundle.drawn_again", "bundle")}
    kinds = [(picture.kind, picture.quality) for picture in report.run.pictures]
    assert kinds.count(("bundle", "")) == 1
    assert ("turntable", "final") in kinds and ("preview", "") in kinds
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert len(page) < 2_000_000 and page.count("<img") == len(report.run.pictures)


def test_another_bundle_of_the_same_picture_keeps_the_views(backend: BackendProcess, from_picture: list[Any]) -> None:
    """Also: a job that is run again takes what it had made from its checkpoints, and comes out the same."""
    events = events_of(backend, JobFiles(SHIPPED), GenerateParams("fast", 3, **SMALL))
    again = [event.mesh for event in events if isinstance(event, MeshReady)][-1]
    before = [event.mesh for event in from_picture if isinstance(event, MeshReady)][-1]
    assert again.positions.sha256 == before.positions.sha256
    assert again.texture is not None and before.texture is not None
    assert again.texture.sha256 == before.texture.sha256
    seconds = {each.stage: each.seconds for each in finished(events).report.stages}
    assert max(seconds[stage] for stage in ("multiview", "reference_shape", "caption", "bundle")) < 1.0


def test_no_stage_raised_a_warning_of_a_library(machine: Machine, from_picture: list[Any]) -> None:
    log = (machine.data / "logs" / "backend.log").read_text(encoding="utf-8")
    assert "finished" in log
    assert [line for line in log.splitlines() if "Warning:" in line] == []
    assert complaints(log) == []


def test_words(backend: BackendProcess) -> None:
    asked = GenerateParams("fast", 5, prompt="a red chair", write_prompt=True, redraw=False, **SMALL)
    events = events_of(backend, JobFiles(), asked)
    check_events(events)
    assert stages(events)[:2] == ["prompt", "bundle"]


def kiss3d(machine: Machine, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "kiss3d_backend", *map(str, arguments), "--json"]
    done = subprocess.run(
        command, env=machine.environment, capture_output=True, encoding="utf-8", timeout=250, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert complaints(done.stderr) == []
    return json.loads(done.stdout.splitlines()[-1])


def test_a_mesh_from_the_command_line(machine: Machine, tmp_path: Path) -> None:
    source = tmp_path / "egg.glb"
    trimesh.creation.icosphere(3, 1.5).export(source)
    told = kiss3d(
        machine, "generate", "--mesh", source, "-o", tmp_path / "o.glb", "--preset", "fast", "--prompt", "an egg",
        "--faces", 2000, "--texture-size", 1024, "--no-redraw",
    )  # fmt: skip
    assert [each["stage"] for each in told["stages"]][:2] == ["render", "bundle"]
    mesh = trimesh.load(tmp_path / "o.glb", force="mesh")
    mesh.merge_vertices(merge_tex=True, merge_norm=True)
    assert mesh.is_watertight and len(mesh.faces) == pytest.approx(2000, rel=0.05)


def head_and_shoulders(mesh: trimesh.Trimesh) -> float:
    """How wide the uppermost quarter of a mesh is (along x), in widths of its lowest half."""
    low, high = mesh.bounds
    heights = (mesh.vertices[:, 1] - low[1]) / (high[1] - low[1])
    return float(np.ptp(mesh.vertices[heights > 0.75, 0]) / np.ptp(mesh.vertices[heights < 0.5, 0]))


def test_a_bundle_and_four_views_from_the_command_line(machine: Machine, tmp_path: Path) -> None:
    from PIL import Image

    picture = Image.open(BUST).convert("RGB")
    picture.save(tmp_path / "bust.png")
    common = ("--preset", "draft", "--faces", 2000, "--texture-size", 1024)
    told = kiss3d(machine, "generate", "--bundle", tmp_path / "bust.png", "-o", tmp_path / "bust.glb", *common)
    assert head_and_shoulders(trimesh.load(tmp_path / "bust.glb", force="mesh")) < 0.7, "it stands upright"
    assert "coarse" in [each["stage"] for each in told["stages"]], "the LRM is here, and was asked"
    views = []
    for view in range(4):
        picture.crop((512 * view, 0, 512 * (view + 1), 512)).save(tmp_path / f"{view}.png")
        views += ["--view", tmp_path / f"{view}.png"]
    told = kiss3d(machine, "generate", *views, "-o", tmp_path / "views.glb", *common)
    assert [each["stage"] for each in told["stages"]][:3] == ["read_views", "reference_shape", "bundle_views"]
    assert head_and_shoulders(trimesh.load(tmp_path / "views.glb", force="mesh")) < 0.7
