"""The draft recipe as a whole, from the bytes of a picture to its final mesh."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.mesh.shapes import assert_closed, components, volume
from tests.stages.context import Record

from kiss3d_backend.pipeline.recipe import JobInputs
from kiss3d_backend.pipeline.runner import run_recipe
from kiss3d_backend.recipes import RECIPES
from kiss3d_protocol.errors import JobCancelled, PictureTransparent, PictureTruncated, PictureWithoutObject

SHIPPED = Path(__file__).parents[2] / "docs" / "images" / "demo-picture.png"


def draft(picture: bytes, seed: int = 0, faces: int | None = 500, texture_size: int | None = 1024) -> Record:
    record = Record()
    inputs = JobInputs(picture, seed, faces=faces, texture_size=texture_size)
    run_recipe(RECIPES["draft"], inputs, record, threading.Event())
    return record


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def pear(mode: str = "RGB") -> Image.Image:
    image = Image.new("RGBA", (200, 150), (255, 255, 255, 0 if mode == "RGBA" else 255))
    draw = ImageDraw.Draw(image)
    draw.ellipse((60, 60, 140, 140), fill=(150, 180, 40, 255))
    draw.ellipse((75, 20, 125, 100), fill=(160, 190, 50, 255))
    return image.convert(mode)


@pytest.fixture(scope="module")
def shipped() -> Record:
    return draft(SHIPPED.read_bytes(), faces=None, texture_size=None)


def test_the_shipped_picture_becomes_one_closed_textured_mesh(shipped: Record) -> None:
    assert shipped.warning_codes() == []
    (coarse, first), (final, second) = shipped.of("mesh")
    assert (first, second) == ("coarse", "final")
    for mesh in (coarse, final):
        assert_closed(mesh.positions, mesh.triangles)
        assert components(len(mesh.positions), mesh.triangles) == 1
        assert volume(mesh.positions, mesh.triangles) > 0
        assert np.ptp(mesh.positions, axis=0).max() == pytest.approx(1.0)
    assert len(coarse.triangles) < 10_000
    assert coarse.colours is not None
    assert len(final.triangles) == pytest.approx(12_000, rel=0.02)
    assert final.texture.pixels.shape == (2048, 2048, 3)


def test_the_result_has_a_normal_map_and_uvs_that_do_not_leave_the_texture(shipped: Record) -> None:
    mesh, _ = shipped.of("mesh")[-1]
    assert mesh.normal_map.pixels.shape == (1024, 1024, 3)
    assert mesh.uvs.min() >= 0
    assert mesh.uvs.max() <= 1
    assert mesh.uv_triangles.shape == mesh.triangles.shape
    outwards = mesh.normal_map.pixels[..., 2]
    assert np.median(outwards) > 240
    assert mesh.normal_map.pixels[..., :2].std() > 1, "decimation took detail away, and the map holds it"


def test_faces_and_texture_size_are_as_asked() -> None:
    mesh, _ = draft(encode(pear(), "PNG"), faces=1500, texture_size=1024).of("mesh")[-1]
    assert len(mesh.triangles) == pytest.approx(1500, rel=0.02)
    assert mesh.texture.pixels.shape == (1024, 1024, 3)


def test_progress_is_told_often_and_never_falls(shipped: Record) -> None:
    fractions = [event[3] for event in shipped.of("progress")]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) > 25
    assert np.diff(fractions).max() < 0.25


def test_the_same_seed_makes_the_same_mesh() -> None:
    first, second = (draft(encode(pear(), "PNG"), seed=5).of("mesh")[-1][0] for _ in range(2))
    np.testing.assert_array_equal(first.positions, second.positions)
    np.testing.assert_array_equal(first.texture.pixels, second.texture.pixels)


@pytest.mark.parametrize(
    "picture",
    [
        encode(pear("RGBA"), "PNG"),
        encode(pear("L"), "PNG"),
        encode(pear().convert("CMYK"), "JPEG", quality=90),
        encode(pear().quantize(16), "GIF"),
    ],
    ids=["cut-out", "grey", "CMYK", "palette"],
)
def test_small_pictures_of_many_kinds(picture: bytes) -> None:
    record = draft(picture)
    mesh, quality = record.of("mesh")[-1]
    assert quality == "final"
    assert record.warning_codes() == []
    assert_closed(mesh.positions, mesh.triangles)
    assert np.ptp(mesh.positions, axis=0)[1] == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("picture", "error"),
    [
        (encode(Image.new("RGB", (300, 200), "white"), "PNG"), PictureWithoutObject),
        (encode(Image.new("RGBA", (300, 200)), "PNG"), PictureTransparent),
        (SHIPPED.read_bytes()[:50_000], PictureTruncated),
    ],
)
def test_bad_pictures_fail_with_their_own_error_and_no_mesh(picture: bytes, error: type[Exception]) -> None:
    record = Record()
    with pytest.raises(error):
        run_recipe(RECIPES["draft"], JobInputs(picture), record, threading.Event())
    assert record.of("mesh") == []


@pytest.mark.parametrize("stage", [stage.name for stage in RECIPES["draft"].stages])
def test_a_cancel_within_any_stage_ends_the_job(stage: str) -> None:
    cancel = threading.Event()

    class Canceller(Record):
        def progress(self, name: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None:
            super().progress(name, step, steps, fraction, eta_seconds)
            if name == stage:
                assert not cancel.is_set(), "progress after the cancel"
                cancel.set()

    record = Canceller()
    with pytest.raises(JobCancelled):
        run_recipe(RECIPES["draft"], JobInputs(encode(pear(), "PNG")), record, cancel)
    assert "final" not in [quality for _, quality in record.of("mesh")]


def test_nothing_is_imported_after_the_warm_up() -> None:
    program = (
        "import sys, threading; import kiss3d_backend.recipes as recipes; recipes.warm_up(); "
        "from kiss3d_backend.pipeline.recipe import JobInputs; "
        "from kiss3d_backend.pipeline.runner import run_recipe; "
        "before = set(sys.modules); "
        f"data = open({str(SHIPPED)!r}, 'rb').read(); "
        "run_recipe(recipes.RECIPES['draft'], JobInputs(data), recipes._NoSink(), threading.Event()); "
        "print(sorted(set(sys.modules) - before), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
