"""Inflation and projection as stages: frames, face counts, and a texture that matches the picture."""

from __future__ import annotations

import numpy as np
import pytest
from tests.mesh.shapes import assert_closed, components
from tests.stages.context import stage_context

from kiss3d_backend.mesh.charts import CHART_SHARE
from kiss3d_backend.pipeline.types import OBJECT_SHARE, Cutout, Mesh
from kiss3d_backend.stages.inflate_silhouette import InflateSilhouette
from kiss3d_backend.stages.project_picture import ProjectPicture
from kiss3d_protocol.errors import JobCancelled

SIDE = 400
CHART = 256


def cutout(pattern: bool = True) -> Cutout:
    """An upright ellipse with smooth waves of colour in it, and glaring magenta around it where nothing may look."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    half = OBJECT_SHARE * SIDE / 2
    inside = np.hypot((x - SIDE / 2) / (0.6 * half), (y - SIDE / 2) / half)
    rgba = np.empty((SIDE, SIDE, 4), dtype=np.uint8)
    wave = 40 * np.sin(x / 9) * np.sin(y / 11) if pattern else 0 * x
    rgba[..., :3] = np.stack([150 + wave, 120 + wave / 2, 60 - wave], axis=2)
    rgba[..., 3] = np.clip((1 - inside) * 0.6 * half + 0.5, 0, 1) * 255
    return Cutout(rgba)


def inflated(cut: Cutout, faces: int = 5000) -> Mesh:
    return InflateSilhouette("shape", "Shape", weight=1.0, faces=faces).run(cut, stage_context()[0])


def painted(cut: Cutout) -> Mesh:
    return ProjectPicture("texture", "Texture", weight=1.0, chart_side=CHART).run(
        (cut, inflated(cut)), stage_context()[0]
    )


@pytest.mark.parametrize("faces", [3000, 20000])
def test_inflation_makes_about_the_faces_asked_for_where_the_picture_shows_the_object(faces: int) -> None:
    mesh = inflated(cutout(), faces)
    assert len(mesh.triangles) == pytest.approx(faces, rel=0.15)
    assert_closed(mesh.positions, mesh.triangles)
    low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
    np.testing.assert_allclose(high, (0.3 * OBJECT_SHARE, 0.5 * OBJECT_SHARE, high[2]), atol=0.005)
    np.testing.assert_allclose(low, -high, atol=0.005)
    assert 0.6 < high[2] / high[0] < 1.4


def test_the_result_stands_in_the_unit_box_with_a_texture_of_two_charts() -> None:
    mesh = painted(cutout())
    assert mesh.texture is not None
    assert mesh.texture.pixels.shape == (CHART, 2 * CHART, 3)
    assert mesh.uvs is not None
    assert mesh.uv_triangles is not None
    assert mesh.uvs.min() >= 0
    assert mesh.uvs.max() <= 1
    low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
    np.testing.assert_allclose(low + high, 0, atol=1e-6)
    assert (high - low).max() == pytest.approx(1.0)
    assert components(len(mesh.positions), mesh.triangles) == 1
    assert_closed(mesh.positions, mesh.triangles)
    assert mesh.positions.dtype == np.float32
    assert mesh.triangles.dtype == np.int32


def test_each_side_uses_its_own_chart_and_no_triangle_spans_both() -> None:
    mesh = painted(cutout())
    u = mesh.uvs[mesh.uv_triangles, 0]
    front = mesh.positions[mesh.triangles, 2].mean(axis=1) > 0
    assert (u[front] <= 0.5).all()
    assert (u[~front] >= 0.5).all()


def test_the_front_is_the_picture_as_seen() -> None:
    cut = cutout()
    mesh = painted(cut)
    object_side = OBJECT_SHARE * SIDE
    chart = (np.arange(CHART) + 0.5) / CHART - 0.5
    at = (chart / CHART_SHARE * object_side + SIDE / 2 - 0.5).round().astype(int)
    wanted = cut.rgba[np.ix_(at, at)].astype(float)
    got = mesh.texture.pixels[:, :CHART].astype(float)
    y, x = np.meshgrid(chart, chart, indexing="ij")
    facing = np.hypot(x / 0.6, y) < 0.85 * CHART_SHARE / 2
    error = np.mean((wanted[facing, :3] - got[facing]) ** 2)
    assert 10 * np.log10(255**2 / error) > 30


def test_the_back_has_the_large_colours_and_not_the_details() -> None:
    mesh = painted(cutout())
    y, x = np.meshgrid(np.linspace(-1, 1, CHART), np.linspace(-1, 1, CHART), indexing="ij")
    inside = np.hypot(x / 0.6, y) < 0.9 * CHART_SHARE
    front = mesh.texture.pixels[:, :CHART][inside].astype(float)
    back = mesh.texture.pixels[:, CHART:][inside].astype(float)
    assert np.abs(front.mean(axis=0) - back.mean(axis=0)).max() < 15
    assert back.std(axis=0).max() < 0.35 * front.std(axis=0).max()


def test_front_and_back_meet_in_the_same_colours() -> None:
    mesh = painted(cutout())
    on_rim = mesh.positions[:, 2] == 0
    pairs = np.unique(np.stack([mesh.triangles.ravel(), mesh.uv_triangles.ravel()], axis=1), axis=0)
    pairs = pairs[on_rim[pairs[:, 0]]]
    order = np.argsort(pairs[:, 0], kind="stable")
    uv = mesh.uvs[pairs[order, 1]]
    pixel = np.stack([(1 - uv[:, 1]) * CHART, uv[:, 0] * 2 * CHART], axis=1).astype(int)
    colours = mesh.texture.pixels[pixel[:, 0], pixel[:, 1]].astype(int).reshape(-1, 2, 3)
    assert len(colours) > 50
    assert np.abs(colours[:, 0] - colours[:, 1]).max() <= 8


def test_one_colour_stays_one_colour_everywhere_in_the_texture() -> None:
    mesh = painted(cutout(pattern=False))
    assert np.abs(mesh.texture.pixels.astype(int) - (150, 120, 60)).max() <= 2


def test_cancel_is_noticed_within_the_stages() -> None:
    cut = cutout()
    context, _ = stage_context(cancelled=True)
    with pytest.raises(JobCancelled):
        InflateSilhouette("shape", "Shape", weight=1.0, faces=2000).run(cut, context)
    with pytest.raises(JobCancelled):
        ProjectPicture("texture", "Texture", weight=1.0, chart_side=CHART).run((cut, inflated(cut)), context)
