"""``kiss3d render`` and ``kiss3d reconstruct`` as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from kiss3d_protocol.errors import ERRORS

pytest.importorskip("torch", reason="the refinement needs torch")


def kiss3d(*arguments: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "kiss3d_backend", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False, env=environment)


def welded(path: Path) -> trimesh.Trimesh:
    mesh = trimesh.load(path, force="mesh", process=False)
    merged = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    merged.merge_vertices(merge_tex=True, merge_norm=True)
    return merged


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A coloured egg on a thin stand, its bundle, and a coarse version of it."""
    folder = tmp_path_factory.mktemp("reconstruct")
    egg = trimesh.creation.icosphere(4, 0.45)
    egg.vertices *= (0.8, 1.0, 0.8)
    egg.visual.vertex_colors = np.column_stack(
        [np.clip(128 + 250 * egg.vertices, 0, 255).astype(np.uint8), np.full(len(egg.vertices), 255, np.uint8)]
    )
    egg.export(folder / "egg.glb")
    coarse = trimesh.creation.icosphere(3, 0.4)
    coarse.export(folder / "coarse.glb")
    result = kiss3d("render", folder / "egg.glb", "-o", folder / "bundle.png", "--keep-frame")
    assert result.returncode == 0, result.stderr
    return folder


def reconstruct(folder: Path, *options: object) -> dict[str, object]:
    output = folder / "out.glb"
    result = kiss3d("reconstruct", folder / "bundle.png", "-o", output, "--preset", "draft", "--json", *options)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def distance(path: Path, original: Path) -> float:
    """Mean distance of points on the result to the egg's surface, from the ellipsoid's implicit function."""
    points, _ = trimesh.sample.sample_surface(welded(path), 5000, seed=0)
    original_extents = welded(original).extents / 2
    radius = np.linalg.norm(points / original_extents, axis=1)
    return float(np.abs(radius - 1).mean() * original_extents.min())


def test_a_bundle_has_its_size(folder: Path):
    with Image.open(folder / "bundle.png") as bundle:
        assert bundle.size == (2048, 1024)


def test_an_egg_comes_back(folder: Path):
    told = reconstruct(folder, "--keep-frame", "--init", folder / "coarse.glb")
    assert told["warnings"] == []
    solid = welded(folder / "out.glb")
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert solid.volume > 0
    assert distance(folder / "out.glb", folder / "egg.glb") < 0.01
    mesh = trimesh.load(folder / "out.glb", force="mesh", process=False)
    assert min(mesh.visual.material.baseColorTexture.size) >= 1024
    assert told["triangles"] <= 10_000 * 1.02


def test_unit_height_and_face_count_from_the_hull(folder: Path):
    told = reconstruct(folder, "--faces", 2000, "--texture-size", 1024)
    assert abs(told["triangles"] - 2000) <= 40
    bounds = welded(folder / "out.glb").bounds
    assert bounds[1][1] - bounds[0][1] == pytest.approx(1.0, abs=1e-4)
    assert bounds.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-4)


def assert_error(result: subprocess.CompletedProcess[str], code: str) -> None:
    assert "Traceback" not in result.stderr + result.stdout
    assert result.returncode == ERRORS[code].exit_code, result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error: ")]) == 1


class TestBadInput:
    def test_a_picture_of_another_size(self, tmp_path: Path):
        Image.new("RGB", (1024, 1024), "white").save(tmp_path / "no.png")
        assert_error(kiss3d("reconstruct", tmp_path / "no.png", "-o", tmp_path / "o.glb"), "mesh.bundle_invalid")

    def test_a_bundle_with_an_empty_view(self, folder: Path, tmp_path: Path):
        with Image.open(folder / "bundle.png") as bundle:
            picture = bundle.convert("RGB")
        picture.paste((255, 255, 255), (512, 0, 1024, 1024))
        picture.save(tmp_path / "hole.png")
        result = kiss3d("reconstruct", tmp_path / "hole.png", "-o", tmp_path / "o.glb")
        assert_error(result, "mesh.view_empty")
        assert "view 2" in result.stderr

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            (["--preset", "best"], "params.preset_unknown"),
            (["--faces", "1"], "params.invalid"),
            (["--texture-size", "1000"], "params.invalid"),
            (["--rasterizer", "gl"], "params.invalid"),
            (["--init", "/nowhere/mesh.glb"], "mesh.missing"),
        ],
    )
    def test_options(self, folder: Path, tmp_path: Path, options: list[str], code: str):
        assert_error(kiss3d("reconstruct", folder / "bundle.png", "-o", tmp_path / "o.glb", *options), code)

    def test_a_wrong_option_is_told_before_torch_is_imported(self, folder: Path, tmp_path: Path):
        program = "import sys; from kiss3d_backend.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
        command = [sys.executable, "-c", program, "reconstruct", str(folder / "bundle.png"), "--faces", "1"]
        done = subprocess.run([*command, "-o", str(tmp_path / "o.glb")], capture_output=True, text=True, check=False)
        assert done.returncode == ERRORS["params.invalid"].exit_code, done.stderr
        assert done.stdout.strip() == "False"
