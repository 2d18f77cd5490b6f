"""Inflation and painting as stages: frames, face counts, and a texture that matches the picture."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from tests.mesh.shapes import assert_closed, components
from tests.stages.context import stage_context

from kiss3d_backend.mesh.body_colours import BodyColours
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.simplify import simplify
from kiss3d_backend.pipeline.types import OBJECT_SHARE, Cutout, Mesh
from kiss3d_backend.stages.colour_body import ColourBody
from kiss3d_backend.stages.inflate_silhouette import InflateSilhouette
from kiss3d_backend.stages.texture_body import Body, TextureBody
from kiss3d_protocol.errors import JobCancelled

SIDE = 400
TEXTURE = 512


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


@functools.cache
def textured(pattern: bool = True) -> tuple[Body, Mesh]:
    """A body, and what the stage makes of it."""
    cut = cutout(pattern)
    full = inflated(cut)
    low = simplify(full.positions, full.triangles, 1200)
    body = Body(cut, full, Mesh(low.positions, low.triangles), TEXTURE)
    return body, TextureBody(normal_side=256).run(body, stage_context()[0])


def surface_samples(body: Body, mesh: Mesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle of every face in the cut-out's frame, its normal, and the texture's colour there."""
    corners = body.low.positions[mesh.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    uv = mesh.uvs[mesh.uv_triangles].mean(axis=1)
    pixel = (np.stack([1 - uv[:, 1], uv[:, 0]], axis=1) * TEXTURE).astype(int)
    colours = mesh.texture.pixels[pixel[:, 0], pixel[:, 1]].astype(float)
    return corners.mean(axis=1), normals / np.linalg.norm(normals, axis=1, keepdims=True), colours


@pytest.mark.parametrize("faces", [3000, 20000])
def test_inflation_makes_about_the_faces_asked_for_where_the_picture_shows_the_object(faces: int) -> None:
    mesh = inflated(cutout(), faces)
    assert len(mesh.triangles) == pytest.approx(faces, rel=0.15)
    assert_closed(mesh.positions, mesh.triangles)
    low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
    np.testing.assert_allclose(high, (0.3 * OBJECT_SHARE, 0.5 * OBJECT_SHARE, high[2]), atol=0.005)
    np.testing.assert_allclose(low, -high, atol=0.005)
    assert 0.6 < high[2] / high[0] < 1.4


def test_the_result_stands_in_the_unit_box_with_a_texture_and_a_normal_map() -> None:
    _, mesh = textured()
    assert mesh.texture.pixels.shape == (TEXTURE, TEXTURE, 3)
    assert mesh.normal_map.pixels.shape == (256, 256, 3)
    assert mesh.uvs.min() >= 0
    assert mesh.uvs.max() <= 1
    low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
    np.testing.assert_allclose(low + high, 0, atol=1e-6)
    assert (high - low).max() == pytest.approx(1.0)
    assert components(len(mesh.positions), mesh.triangles) == 1
    assert_closed(mesh.positions, mesh.triangles)
    assert mesh.positions.dtype == np.float32
    assert mesh.triangles.dtype == np.int32


def test_the_front_is_the_picture_as_seen() -> None:
    body, mesh = textured()
    points, normals, got = surface_samples(body, mesh)
    front = normals[:, 2] > 0.6
    at = np.stack([(0.5 - points[front, 1]) * SIDE - 0.5, (points[front, 0] + 0.5) * SIDE - 0.5])
    wanted = np.stack(
        [map_coordinates(body.cutout.rgba[..., channel].astype(float), at, order=1) for channel in range(3)], axis=1
    )
    assert front.sum() > 200
    assert 10 * np.log10(255**2 / np.mean((wanted - got[front]) ** 2)) > 30


def test_the_back_has_the_large_colours_and_not_the_details() -> None:
    body, mesh = textured()
    points, normals, colours = surface_samples(body, mesh)
    front, back = colours[normals[:, 2] > 0.6], colours[points[:, 2] < 0]
    assert np.abs(front.mean(axis=0) - back.mean(axis=0)).max() < 15
    assert back.std(axis=0).max() < 0.35 * front.std(axis=0).max()


def test_there_is_no_seam_where_front_and_back_meet_nor_between_islands() -> None:
    """Both sides of an edge have the same colour on it, wherever they lie in the texture."""
    _, mesh = textured()
    uses: dict[tuple[int, int], list[tuple[np.ndarray, np.ndarray]]] = {}
    for triangle, uv_triangle in zip(mesh.triangles, mesh.uv_triangles, strict=True):
        for a, b in ((0, 1), (1, 2), (2, 0)):
            key = (min(triangle[a], triangle[b]), max(triangle[a], triangle[b]))
            uses.setdefault(key, []).append(uv_triangle[[a, b]][np.argsort(triangle[[a, b]])])
    seams = np.array([pair for pair in uses.values() if not np.array_equal(pair[0], pair[1])])
    assert len(seams) > 30
    uv = mesh.uvs[seams].mean(axis=2)
    at = np.stack([(1 - uv[..., 1]) * TEXTURE - 0.5, uv[..., 0] * TEXTURE - 0.5])
    colours = np.stack(
        [map_coordinates(mesh.texture.pixels[..., c].astype(float), at, order=1, mode="nearest") for c in range(3)]
    )
    assert np.percentile(np.abs(colours[..., 0] - colours[..., 1]).max(axis=0), 98) <= 8


def test_one_colour_stays_one_colour_everywhere_in_the_texture() -> None:
    _, mesh = textured(pattern=False)
    assert np.abs(mesh.texture.pixels.astype(int) - (150, 120, 60)).max() <= 2


def test_nothing_around_the_object_gets_into_its_colours() -> None:
    rgba = cutout(pattern=False).rgba.copy()
    rgba[rgba[..., 3] == 0, :3] = (255, 0, 255)
    body = inflated(Cutout(rgba))
    colours = BodyColours(rgba, 300).at(body.positions, vertex_normals(body.positions, body.triangles))
    assert np.abs(colours * 255 - (150, 120, 60)).max() <= 3


def test_the_coarse_mesh_has_the_colours_on_its_vertices() -> None:
    cut = cutout(pattern=False)
    mesh = ColourBody().run((cut, inflated(cut, 2000)), stage_context()[0])
    assert np.abs(mesh.colours.astype(int) - (150, 120, 60, 255)).max() <= 2
    assert np.ptp(mesh.positions, axis=0).max() == pytest.approx(1.0)


def test_cancel_is_noticed_within_the_stages() -> None:
    cut = cutout()
    context, _ = stage_context(cancelled=True)
    with pytest.raises(JobCancelled):
        InflateSilhouette("shape", "Shape", weight=1.0, faces=2000).run(cut, context)
    with pytest.raises(JobCancelled):
        TextureBody().run(textured()[0], context)
