"""Bundles and the choice among them, from the command line and over the protocol; and inputs that cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from tests.fakes import recipes
from tests.fakes.backend_process import MISBEHAVING, BackendProcess, collect
from tests.fakes.raw_client import raw_dealer

from kiss3d_backend.cli import picked_bundle
from kiss3d_backend.commands.generate import GenerateOptions, run_generate
from kiss3d_backend.commands.job_request import JobFiles, make_submit
from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import BundleInvalid, Kiss3DError, MeshEmpty, ParamsInvalid, RecipeUnavailable
from kiss3d_protocol.framing import decode_server, encode
from kiss3d_protocol.messages import Attach, BundlesReady, Finished, Hello, JobList, MeshReady, Preview, Refused
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.session import Received


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    with BackendProcess(tmp_path_factory.mktemp("data"), recipes=MISBEHAVING) as process:
        yield process
    assert process.stop() == 0
    assert process.errors == ""


@pytest.fixture
def disc(tmp_path: Path, png: bytes) -> Path:
    path = tmp_path / "disc.png"
    path.write_bytes(png)
    return path


def generate(backend: BackendProcess, files: JobFiles, output: Path, pick: int | None = None, **params: Any) -> None:
    asked = GenerateParams("draft", recipes.BUNDLES, choose=pick is not None, **params)
    run_generate(GenerateOptions(files, output, asked, pick, backend.address, None, as_json=True))


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    return json.loads(capsys.readouterr().out)


def test_one_bundle_is_picked(
    backend: BackendProcess, disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "o.glb"
    generate(backend, JobFiles(disc), output, pick=2, bundles=3)
    told = said(capsys)
    assert [(mesh["bundle"], mesh["output"]) for mesh in told["outputs"]] == [(2, str(output))]
    assert trimesh.load(output, force="mesh").is_watertight
    pictures = [Image.open(path) for path in told["bundles"]]
    assert [np.asarray(picture)[0, 0, 0] for picture in pictures] == [0, 10, 20]
    assert sorted(path.name for path in tmp_path.glob("o*")) == [
        "o-bundle-1.png",
        "o-bundle-2.png",
        "o-bundle-3.png",
        "o.glb",
    ]


def test_all_bundles_become_meshes(
    backend: BackendProcess, disc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generate(backend, JobFiles(disc), tmp_path / "o.glb", bundles=2)
    told = said(capsys)
    assert [(mesh["bundle"], Path(mesh["output"]).name) for mesh in told["outputs"]] == [(1, "o-1.glb"), (2, "o-2.glb")]
    assert all(Path(mesh["output"]).exists() for mesh in told["outputs"])


@pytest.mark.parametrize("pick", ["0", "4", "-1", "two", "", "1.0", "²"])
def test_a_bundle_that_is_not_there_cannot_be_picked(pick: str) -> None:
    with pytest.raises(ParamsInvalid, match="no bundle"):
        picked_bundle(pick, 3)
    assert (picked_bundle("3", 3), picked_bundle("all", 3)) == (3, None)


def until(client: Client, kind: type) -> Received:
    while (news := client.wait(60)) is not None:
        if isinstance(news, Received) and isinstance(news.message, kind):
            return news
    raise AssertionError(f"no {kind.__name__} came")


def test_a_choice_over_the_protocol(backend: BackendProcess, make_submit: Any) -> None:
    submit, blob = make_submit(seed=recipes.BUNDLES, bundles=3, choose=True)
    with Client(backend.address, "a/1") as client, Client(backend.address, "b/1") as other:
        client.connected(60)
        other.connected(60)
        client.submit(submit, [blob])
        ready = until(client, BundlesReady)
        assert isinstance(ready.message, BundlesReady) and ready.message.waiting
        assert [bundle.seed for bundle in ready.message.bundles] == [7, 8, 9]
        assert len(ready.blobs) == 3
        client.list_jobs()
        jobs = until(client, JobList).message
        assert isinstance(jobs, JobList) and jobs.jobs[0].state == "running"

        with raw_dealer(backend.address) as old:
            old.send_multipart(encode(Hello("1.0", "old/1")))
            decode_server(old.recv_multipart())
            old.send_multipart(encode(Attach(submit.job, ready.message.number - 1)))
            preview, blobs = decode_server(old.recv_multipart())
            assert isinstance(preview, Preview) and preview.number == ready.message.number
            assert blobs == [bytes(ready.blobs[0])]

        client.choose(submit.job, [3])
        refused = until(client, Refused).message
        assert isinstance(refused, Refused)
        assert (refused.about, refused.code, refused.job) == ("choose", "params.invalid", submit.job)
        other.choose(submit.job, [2])
        events = collect(client, submit.job)
        finals = [event.bundle for event in events if isinstance(event, MeshReady) and event.quality == "final"]
        assert finals == [2]
        assert isinstance(events[-1], Finished)
        client.choose(submit.job, [2])
        late = until(client, Refused).message
        assert isinstance(late, Refused) and late.code == "job.not_waiting"


def test_inputs_that_do_not_go_together_are_refused_before_anything_is_sent(tmp_path: Path, disc: Path) -> None:
    flat = tmp_path / "flat.obj"
    flat.write_text("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", encoding="utf-8")
    good = tmp_path / "good.obj"
    good.write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", encoding="utf-8")
    for files, prompt, error in (
        (JobFiles(), "", ParamsInvalid),
        (JobFiles(disc, good), "", ParamsInvalid),
        (JobFiles(views=(disc, disc)), "", ParamsInvalid),
        (JobFiles(views=(disc,)), "", BundleInvalid),
        (JobFiles(mesh=flat), "", MeshEmpty),
    ):
        with pytest.raises(error):
            make_submit(files, GenerateParams(prompt=prompt))
    for files, recipe, name in (
        (JobFiles(), "text_to_3d", "a red chair"),
        (JobFiles(disc), "image_to_3d", "disc.png"),
        (JobFiles(mesh=good), "mesh_to_3d", "good.obj"),
    ):
        submit, _ = make_submit(files, GenerateParams(prompt="a red chair"))
        assert (submit.params.recipe, submit.name) == (recipe, name)
    submit, blobs = make_submit(JobFiles(mesh=good, views=(disc,) * 4), GenerateParams())
    assert (submit.params.recipe, len(submit.views), len(blobs)) == ("views_to_3d", 4, 6)


def test_a_recipe_that_is_not_there_yet_says_so(backend: BackendProcess, tmp_path: Path) -> None:
    with pytest.raises(RecipeUnavailable, match="text_to_3d") as caught:
        generate(backend, JobFiles(), tmp_path / "o.glb", prompt="a red chair")
    assert isinstance(caught.value, Kiss3DError) and caught.value.remedy
    assert not (tmp_path / "o.glb").exists()
