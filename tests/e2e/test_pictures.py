"""Pictures of every kind through ``kiss3d generate``: each becomes a closed, textured mesh in one piece."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image, ImageDraw
from tests.fakes.backend_process import BackendProcess


def mushroom(width: int, height: int, mode: str = "RGBA", ground: tuple[int, ...] = (0, 0, 0, 0)) -> Image.Image:
    """A red cap on a pale stem; four times oversampled, so that its edge is smooth."""
    scale = 2 if width * height > 4_000_000 else 4
    w, h = width * scale, height * scale
    image = Image.new(mode, (w, h), ground)
    draw = ImageDraw.Draw(image)
    side = min(w, h)
    left, top = (w - side) / 2, (h - side) / 2

    def box(x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        return left + x0 * side, top + y0 * side, left + x1 * side, top + y1 * side

    opaque = (255,) if mode == "RGBA" else ()
    draw.rounded_rectangle(box(0.4, 0.4, 0.6, 0.9), side * 0.05, fill=(235, 220, 190, *opaque))
    draw.pieslice(box(0.12, 0.1, 0.88, 0.9), 180, 360, fill=(200, 40, 35, *opaque))
    draw.ellipse(box(0.4, 0.2, 0.5, 0.3), fill=(250, 250, 240, *opaque))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def sixteen_bit() -> bytes:
    grey = np.asarray(mushroom(500, 500, "RGB", (255, 255, 255)).convert("L"), np.uint16) * 257
    return encoded(Image.fromarray(grey), "PNG")


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = mushroom(700, 700, "RGB", (255, 255, 255)).transpose(Image.Transpose.ROTATE_90)
    return encoded(lying, "JPEG", exif=exif.tobytes())


def palette() -> bytes:
    image = mushroom(600, 600).quantize(64, method=Image.Quantize.FASTOCTREE)
    return encoded(image, "PNG")


def product_photo() -> bytes:
    """On white, with a soft shadow, noise and JPEG artefacts."""
    image = mushroom(1200, 900, "RGB", (250, 250, 250))
    pixels = np.asarray(image, np.float64)
    rows, columns = np.mgrid[:900, :1200]
    shadow = 30 * np.exp(-(((columns - 600) / 260) ** 2 + ((rows - 830) / 30) ** 2))
    noise = np.random.default_rng(1).normal(0, 2, pixels.shape)
    return encoded(
        Image.fromarray(np.clip(pixels - shadow[..., None] + noise, 0, 255).astype(np.uint8)), "JPEG", quality=85
    )


PICTURES: dict[str, Callable[[], bytes]] = {
    "RGBA cut-out": lambda: encoded(mushroom(800, 800), "PNG"),
    "product photo on white": product_photo,
    "JPEG of 4000 x 3000": lambda: encoded(mushroom(4000, 3000, "RGB", (255, 255, 255)), "JPEG"),
    "PNG of 200 x 150": lambda: encoded(mushroom(200, 150, "RGB", (255, 255, 255)), "PNG"),
    "16-bit PNG": sixteen_bit,
    "palette PNG with transparency": palette,
    "CMYK JPEG": lambda: encoded(mushroom(600, 600, "RGB", (255, 255, 255)).convert("CMYK"), "JPEG"),
    "EXIF-rotated JPEG": rotated,
    "WebP": lambda: encoded(mushroom(640, 640), "WEBP"),
    "grey": lambda: encoded(mushroom(640, 640, "RGB", (255, 255, 255)).convert("L"), "PNG"),
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory):
    with BackendProcess(tmp_path_factory.mktemp("data")) as backend:
        yield backend.address
    assert backend.stop() == 0
    assert backend.errors == ""


def generate(picture: Path, output: Path, *options: str) -> dict[str, object]:
    command = [sys.executable, "-m", "kiss3d_backend", "generate", str(picture), "-o", str(output), "--json", *options]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def welded(path: Path) -> trimesh.Trimesh:
    mesh = trimesh.load(path, force="mesh", process=False)
    merged = trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)
    merged.merge_vertices(merge_tex=True, merge_norm=True)
    return merged


@pytest.mark.parametrize("name", PICTURES)
def test_every_kind_of_picture(name: str, address: str, tmp_path: Path):
    picture, output = tmp_path / "picture", tmp_path / "out.glb"
    picture.write_bytes(PICTURES[name]())
    told = generate(picture, output, "--connect", address)
    assert [stage["stage"] for stage in told["stages"]]
    assert told["warnings"] == []
    mesh = trimesh.load(output, force="mesh", process=False)
    assert mesh.visual.uv.shape == (len(mesh.vertices), 2)
    assert ((mesh.visual.uv >= 0) & (mesh.visual.uv <= 1)).all()
    texture = mesh.visual.material.baseColorTexture
    assert min(texture.size) >= 1024
    assert min(mesh.visual.material.normalTexture.size) >= 1024
    solid = welded(output)
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert solid.body_count == 1
    assert solid.volume > 0
    assert len(solid.faces) == told["triangles"]
    extents = solid.bounds[1] - solid.bounds[0]
    assert extents.max() == pytest.approx(1.0, abs=1e-3)
    # The mushroom stands upright: its wide cap is above.
    cap, stem = (solid.vertices[:, 1] > 0.1), (solid.vertices[:, 1] < -0.2)
    assert np.ptp(solid.vertices[cap, 0]) > 2 * np.ptp(solid.vertices[stem, 0])


def test_a_private_backend_makes_the_same_mesh_and_a_picture_of_it(address: str, tmp_path: Path):
    picture = tmp_path / "cut-out.png"
    picture.write_bytes(PICTURES["RGBA cut-out"]())
    first = generate(picture, tmp_path / "a.glb", "--connect", address, "--seed", "7")
    second = generate(picture, tmp_path / "b.glb", "--seed", "7", "--render", str(tmp_path / "b.png"))
    assert (tmp_path / "a.glb").read_bytes() == (tmp_path / "b.glb").read_bytes()
    assert first["picture_sha256"] == second["picture_sha256"]
    assert second["seed"] == 7
    with Image.open(tmp_path / "b.png") as render:
        colours = np.asarray(render.convert("RGB"), np.int32).reshape(-1, 3)
    # The cap's red is in the picture: the texture has arrived.
    assert (np.abs(colours - [200, 40, 35]).sum(axis=1) < 90).mean() > 0.02


def test_the_shipped_picture(address: str, tmp_path: Path):
    shipped = Path(__file__).resolve().parents[2] / "docs" / "images" / "demo-picture.png"
    told = generate(shipped, tmp_path / "demo.glb", "--connect", address)
    assert told["warnings"] == []
    solid = welded(tmp_path / "demo.glb")
    assert solid.is_watertight
    assert solid.body_count == 1
