"""The visual hull: closed whatever the masks are, and true to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.test_bundle import box, published
from tests.mesh.shapes import SHAPES, assert_closed, components, volume

from kiss3d_backend.mesh.bundle.check import iou
from kiss3d_backend.mesh.bundle.layout import split_bundle
from kiss3d_backend.mesh.bundle.masks import foreground
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.camera import Camera, bundle_cameras
from kiss3d_backend.mesh.hull import visual_hull
from kiss3d_backend.mesh.types import Mesh
from kiss3d_protocol.errors import ViewEmpty, ViewsDisagree

SMALL = 64


def agreement(hull: Mesh, masks: np.ndarray) -> float:
    """The least IoU of the hull's silhouettes and the masks."""
    seen = foreground(render_bundle([hull]).normals).mask
    return min(iou(a, b) for a, b in zip(seen, masks, strict=True))


def mattes_of(*parts: Mesh) -> np.ndarray:
    return foreground(render_bundle(parts).normals).matte


def at(mesh: Mesh, *offset: float) -> Mesh:
    return Mesh(mesh.positions + np.array(offset, dtype=np.float32), mesh.triangles)


def assert_sound(hull: Mesh) -> None:
    assert_closed(hull.positions, hull.triangles)
    assert volume(hull.positions, hull.triangles) > 0
    a, b, c = (hull.positions[hull.triangles[:, corner]].astype(np.float64) for corner in range(3))
    assert (np.linalg.norm(np.cross(b - a, c - a), axis=1) > 0).all()


@pytest.mark.parametrize(("name", "least"), [("bundle_sphere.png", 0.998), ("bundle_bust.webp", 0.994)])
def test_hulls_of_the_published_bundles(name: str, least: float) -> None:
    seen = foreground(split_bundle(published(name)).normals)
    hull = visual_hull(seen.matte)
    assert_sound(hull)
    assert components(len(hull.positions), hull.triangles) == 1
    assert agreement(hull, seen.mask) > least


def test_the_hull_of_a_ball_holds_the_ball_and_little_more() -> None:
    hull = visual_hull(foreground(split_bundle(published("bundle_sphere.png")).normals).matte)
    # Four cones around a ball of radius 0.99 meet a little outside of it, mostly along the diagonals.
    distance = np.linalg.norm(hull.positions, axis=1)
    assert distance.min() > 0.985
    assert volume(hull.positions, hull.triangles) == pytest.approx(4 / 3 * np.pi * 0.99**3, rel=0.25)
    assert volume(hull.positions, hull.triangles) > 4 / 3 * np.pi * 0.99**3


def test_a_finer_grid_gives_a_smooth_surface_not_steps() -> None:
    """Cross sections of a ball's hull are made of conics: a stepped surface would have normals along the axes."""
    hull = visual_hull(foreground(split_bundle(published("bundle_sphere.png")).normals).matte, resolution=64)
    a, b, c = (hull.positions[hull.triangles[:, corner]].astype(np.float64) for corner in range(3))
    facing = np.cross(b - a, c - a)
    area = np.linalg.norm(facing, axis=1)
    middle = (a + b + c) / 3
    along = (facing * middle).sum(axis=1) / (area * np.linalg.norm(middle, axis=1))
    assert (along * area).sum() / area.sum() > 0.93


def test_parts_stay_apart() -> None:
    parts = [at(box((0.3, 0.3, 0.3)), -0.6, -0.3, 0.0), at(box((0.2, 0.4, 0.3)), 0.5, 0.4, 0.1)]
    mattes = mattes_of(*parts)
    hull = visual_hull(mattes)
    assert_sound(hull)
    assert components(len(hull.positions), hull.triangles) == 2
    assert agreement(hull, mattes >= 0.5) > 0.98


@pytest.mark.parametrize("size", [(1.2, 1.2, 0.02), (0.01, 1.2, 1.2), (1.2, 0.01, 1.2), (0.02, 1.6, 0.02)])
def test_thin_plates_and_rods_survive(size: tuple[float, float, float]) -> None:
    mattes = mattes_of(box(size))
    hull = visual_hull(mattes)
    assert_sound(hull)
    assert components(len(hull.positions), hull.triangles) == 1
    assert agreement(hull, mattes >= 0.5) > 0.94
    extent = hull.positions.max(axis=0) - hull.positions.min(axis=0)
    np.testing.assert_allclose(extent[[0, 2]], np.array(size)[[0, 2]], atol=0.025)


def test_a_diagonal_hair_survives_in_one_piece() -> None:
    """Half as wide as a cell of the grid."""
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    hair = box((0.008, 1.6, 0.9))
    mattes = mattes_of(Mesh((hair.positions @ turn.T).astype(np.float32), hair.triangles))
    hull = visual_hull(mattes, resolution=96)
    assert_sound(hull)
    largest = components(len(hull.positions), hull.triangles)
    assert largest == 1


def test_a_tiny_object_survives() -> None:
    mattes = mattes_of(at(box((0.03, 0.03, 0.03)), 0.7, -0.6, 0.3))
    hull = visual_hull(mattes)
    assert_sound(hull)
    np.testing.assert_allclose(hull.positions.mean(axis=0), [0.7, -0.6, 0.3], atol=0.01)
    assert agreement(hull, mattes >= 0.5) > 0.8


def test_what_the_border_cuts_off_goes_on_beyond_it() -> None:
    mattes = mattes_of(box((2.8, 0.8, 2.8)))
    hull = visual_hull(mattes)
    assert_sound(hull)
    assert agreement(hull, mattes >= 0.5) > 0.99
    assert np.abs(hull.positions).max() < 1.7


def test_a_hole_through_the_object_stays_open() -> None:
    frame = [at(box((1.2, 0.2, 0.2)), 0, y, 0) for y in (-0.5, 0.5)] + [
        at(box((0.2, 1.2, 0.2)), x, 0, 0) for x in (-0.5, 0.5)
    ]
    mattes = mattes_of(*frame)
    hull = visual_hull(mattes, resolution=64)
    assert_sound(hull)
    vertices, faces = len(hull.positions), len(hull.triangles)
    assert vertices - faces // 2 == 0, "the Euler number of a ring"


def small_mattes(*names: str) -> np.ndarray:
    """Shapes of 256 pixels reduced to a small tile."""
    shapes = [SHAPES[name]() for name in names]
    return np.stack([shape.reshape(SMALL, 4, SMALL, 4).mean(axis=(1, 3)) for shape in shapes]).astype(np.float32)


@pytest.mark.parametrize("name", sorted(set(SHAPES) - {"one pixel"}))
def test_any_shape_in_all_views_closes(name: str) -> None:
    matte = small_mattes(name)[0]
    mattes = np.stack([matte, matte[:, ::-1], matte[:, ::-1], matte])
    mattes = np.maximum(mattes, (mattes == mattes.max()) * 1.0)
    assert_closed(*_arrays(visual_hull(mattes, resolution=40)))


@settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 0.8), st.sampled_from([1, 2, 4, 8]))
def test_noise_in_all_views_closes_or_disagrees(seed: int, share: float, grain: int) -> None:
    random = np.random.default_rng(seed)
    coarse = random.random((4, SMALL // grain, SMALL // grain)) < share
    mattes = coarse.repeat(grain, axis=1).repeat(grain, axis=2).astype(np.float32)
    mattes[:, 28:36, 28:36] = 1
    assert_closed(*_arrays(visual_hull(mattes, resolution=24)))


def _arrays(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    return mesh.positions, mesh.triangles


def test_other_cameras_and_masks() -> None:
    cameras = [Camera(azimuth, 20.0, 3.0, 40.0) for azimuth in (0, 60, 120)]
    mask = np.zeros((3, 128, 128), dtype=bool)
    mask[:, 40:88, 40:88] = True
    hull = visual_hull(mask, cameras, resolution=48)
    assert_sound(hull)
    for camera in cameras:
        pixels = camera.pixels(hull.positions, 128)
        assert pixels.min() > 39
        assert pixels.max() < 88


def test_an_empty_view_is_named() -> None:
    mattes = mattes_of(box())
    mattes[1] = 0
    with pytest.raises(ViewEmpty, match=r"view 2 .*azimuth 90"):
        visual_hull(mattes)
    mattes[1] = np.nan
    with pytest.raises(ViewEmpty, match="view 2"):
        visual_hull(mattes)


def test_a_view_that_contradicts_the_others_is_named() -> None:
    mattes = mattes_of(at(box((0.3, 0.3, 0.3)), 0.0, 0.6, 0.0))
    mattes[2] = mattes[2][::-1]
    with pytest.raises(ViewsDisagree, match=r"view 3 .*back"):
        visual_hull(mattes)


def test_views_that_are_a_few_pixels_off_still_have_a_hull() -> None:
    mattes = mattes_of(box((0.01, 1.0, 0.01)))
    mattes[2] = np.roll(mattes[2], 7, axis=1)
    assert_sound(visual_hull(mattes))


def test_cameras_default_to_the_bundle() -> None:
    mattes = mattes_of(box((0.5, 0.7, 0.3)))
    first, second = (visual_hull(mattes, cameras, 32) for cameras in (None, bundle_cameras()))
    np.testing.assert_array_equal(first.positions, second.positions)
