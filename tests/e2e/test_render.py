"""``kiss3d render`` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from kiss3d_backend.mesh.bundle.check import check_bundle
from kiss3d_backend.mesh.bundle.layout import split_bundle
from kiss3d_backend.mesh.bundle.masks import foreground
from kiss3d_protocol.errors import ERRORS

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def render(tmp_path: Path) -> Run:
    environment = {**os.environ, "KISS3D_DATA_DIR": str(tmp_path / "data"), "PYTHONWARNINGS": "error"}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kiss3d_backend", "render", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)

    return run


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def height(picture: np.ndarray) -> int:
    return int(np.ptp(np.nonzero(foreground(split_bundle(picture).normals).mask[0])[0])) + 1


def test_a_mesh_in_the_bundle_world_is_left_there_unless_it_is_to_be_fitted(tmp_path: Path, render: Run) -> None:
    mesh, bundle = tmp_path / "ball.glb", tmp_path / "ball.png"
    trimesh.creation.icosphere(4, 0.5).export(mesh)
    expected = 2 * 955.405 * 0.5 / np.sqrt(4.5**2 - 0.25)

    done = render(mesh, "-o", bundle)
    assert (done.returncode, done.stderr) == (0, "")
    assert "5,120 triangles" in done.stdout
    assert check_bundle(pixels(bundle)).problems == ()
    assert height(pixels(bundle)) == pytest.approx(expected, abs=1.5)

    done = render(mesh, "-o", bundle, "--fit", "--json")
    told = json.loads(done.stdout)
    assert told["scale"] == pytest.approx(2.0, rel=0.01)
    assert not told["kept_frame"]
    assert told["valid"]
    assert height(pixels(bundle)) == pytest.approx(0.85 * 512, abs=2)


def test_a_mesh_elsewhere_is_fitted_unless_it_is_to_be_left(tmp_path: Path, render: Run) -> None:
    mesh, bundle = tmp_path / "box.obj", tmp_path / "box.png"
    trimesh.creation.box((100, 200, 100)).apply_translation((1000, 0, 0)).export(mesh)
    done = render(mesh, "-o", bundle)
    assert done.returncode == 0
    assert "scaled by" in done.stdout
    assert height(pixels(bundle)) == pytest.approx(0.85 * 512, abs=16)
    bundle.unlink()
    done = render(mesh, "-o", bundle, "--keep-frame")
    assert done.returncode == ERRORS["mesh.view_empty"].exit_code
    assert "view 1" in done.stderr
    assert not bundle.exists()


@pytest.mark.parametrize(
    ("name", "content", "output", "code"),
    [
        ("none.glb", None, "out.png", "mesh.missing"),
        ("bad.glb", b"glTF and nothing else, really", "out.png", "mesh.unreadable"),
        ("mesh.fbx", b"Kaydara", "out.png", "mesh.unreadable"),
        ("flat.obj", b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "out.png", "mesh.empty"),
        ("flat.obj", b"v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", "out.jpg", "output.unwritable"),
    ],
)
def test_what_goes_wrong_is_one_clear_sentence(
    tmp_path: Path, render: Run, name: str, content: bytes | None, output: str, code: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = render(tmp_path / name, "-o", tmp_path / output)
    assert done.returncode == ERRORS[code].exit_code
    assert "Traceback" not in done.stderr + done.stdout
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("Error: ") == 1
    assert done.stdout == ""
    assert not (tmp_path / output).exists()
