"""The extension in real Blenders with the real backend that it starts itself; the checks are in checks/real.py."""

from __future__ import annotations

import ast
import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.blender.drawn_alike import likeness
from tests.blender.rigs.bpy_env import BpyEnv, BpyRun

from kiss3d_backend.mesh.types import Mesh, Texture

pytestmark = pytest.mark.timeout(900)

SCRIPT = Path(__file__).parent / "checks" / "real.py"
BUNDLE = Path(__file__).parents[1] / "engine" / "data" / "bundle_bust.webp"
CHECKS = [
    node.name
    for node in ast.parse(SCRIPT.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
]


def draw_pictures(folder: Path) -> None:
    """A lollipop on white, red with a yellow spot on its left, and a picture with nothing in it."""
    picture = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((295, 280, 345, 440), fill=(60, 90, 180))
    draw.ellipse((200, 60, 440, 300), fill=(200, 60, 40))
    draw.ellipse((220, 130, 300, 210), fill=(250, 220, 80))
    picture.save(folder / "lollipop.png")
    Image.new("RGBA", (128, 128), (255, 0, 0, 0)).save(folder / "transparent.png")


@pytest.fixture(scope="session")
def folder(bpy_env: BpyEnv, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What goes in, and what the checks leave for comparisons here; one for each Blender."""
    folder = tmp_path_factory.mktemp("real")
    draw_pictures(folder)
    shutil.copy(BUNDLE, folder)
    return folder


@pytest.fixture(scope="session")
def real_run(bpy_env: BpyEnv, extension_zip: Path, folder: Path) -> BpyRun:
    """One Blender that went through all checks."""
    return bpy_env.run(SCRIPT, extension_zip, folder, timeout=480, env={"KISS3D_PYTHON": sys.executable})


@pytest.mark.parametrize("check", CHECKS)
def test_check(real_run: BpyRun, check: str) -> None:
    outcome = real_run.report.get(check, f"was not reached\n{real_run.stdout}\n{real_run.stderr}")
    assert outcome == "ok", outcome


def test_blender_ends_normally_and_ends_its_backend(real_run: BpyRun) -> None:
    real_run.check()
    assert real_run.left_running == []


def test_counts_and_recipe(real_run: BpyRun) -> None:
    report = real_run.report
    assert report["vertices"] > 1000
    assert report["faces"] == 2 * report["vertices"] - 4, "a closed surface of triangles without holes"
    assert report["uv_corners"] == 3 * report["faces"]
    assert report["uvs"] >= report["vertices"], "seams only add UVs"
    recipe = report["recipe"]
    assert (recipe["preset"], recipe["seed"], recipe["quality"]) == ("draft", 7, "final")
    assert len(recipe["picture_sha256"]) == 64 and len(recipe["job"]) == 36
    assert recipe["stages"] and all(seconds >= 0 for seconds in recipe["stages"].values())
    assert {"kiss3d", "kiss3d_addon"} <= recipe["versions"].keys()


def test_front_of_the_object_shows_the_picture_the_right_way_round(real_run: BpyRun) -> None:
    front = real_run.report["front"]
    assert _close(front["bottom"], (60, 90, 180)), front
    assert _close(front["upper_right"], (200, 60, 40)), front
    yellow = front["upper_left"]
    assert yellow[1] > front["upper_right"][1] + 0.15, f"the yellow spot is on the left: {front}"


@pytest.mark.parametrize("azimuth", [0, 90])
def test_result_looks_as_the_backend_draws_it(real_run: BpyRun, folder: Path, azimuth: int) -> None:
    """From the mesh as the backend sent it: nothing is mirrored, turned or of another size on the way."""
    came = np.load(folder / "came.npz")
    middle = (came["positions"].min(axis=0) + came["positions"].max(axis=0)) / 2
    with Image.open(io.BytesIO(came["texture"].tobytes())) as picture:
        texture = Texture(np.array(picture.convert("RGB")))
    positions = (1.5 * (came["positions"] - middle)).astype(np.float32)
    triangles, uv_triangles = (came[name].astype(np.int32) for name in ("triangles", "uv_triangles"))
    mesh = Mesh(positions, triangles, came["uvs"], uv_triangles, texture=texture)
    alike = likeness(folder / f"drawn-{azimuth}.png", mesh, azimuth)
    assert alike.iou > 0.98 and alike.mean < 2 and alike.most < 15, alike
    assert azimuth or alike.mirrored_mean > 8, "a mirrored spot would be seen"


def test_bust_from_a_bundle_stands_upright(real_run: BpyRun) -> None:
    """In the bundle's front view the head is less than half as wide as the shoulders, and above them."""
    points = np.array(real_run.report["bust"])
    heights = points[:, 2] / points[:, 2].max()
    head, shoulders = (np.ptp(points[there, 0]) for there in (heights > 0.75, heights < 0.3))
    assert head < 0.6 * shoulders, (head, shoulders, real_run.report["bust_extents"])


def test_bust_from_a_bundle_faces_the_front(real_run: BpyRun) -> None:
    """In the bundle's side view the chin is a quarter of the height before the throat; behind they are level."""
    points = np.array(real_run.report["bust"])
    heights = points[:, 2] / points[:, 2].max()
    face = points[(heights > 0.5) & (heights < 0.7), 1]
    # The side views are cut off below, so that heights in them are known to 0.05: this is the throat in any case.
    neck = points[(heights > 0.37) & (heights < 0.41), 1]
    before, behind = neck.min() - face.min(), face.max() - neck.max()
    assert before > 0.12 and before > behind + 0.08, (before, behind)


def _close(colour: list[float], wanted: tuple[int, int, int]) -> bool:
    return all(abs(255 * one - other) < 25 for one, other in zip(colour, wanted, strict=True))
