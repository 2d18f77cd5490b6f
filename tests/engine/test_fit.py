"""The last fit to the views: outlines finer than a pixel, and a mesh that ends nearer to them."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from tests.mesh.balls import faceted_ball

from kiss3d_backend.mesh.bundle.masks import foreground
from kiss3d_backend.mesh.bundle.normals import decode_on_white, encode_normals, normals_to_world
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.camera import bundle_cameras
from kiss3d_backend.mesh.fit.fit import fit_to_views
from kiss3d_backend.mesh.fit.outlines import drawn_outline, nearest, trace
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.view_fit import silhouette_ious
from kiss3d_protocol.errors import JobCancelled

BALL = faceted_ball(96, 48)


def views_of(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """World normals and mattes."""
    tiles = render_bundle([mesh], smooth=True)
    mattes = foreground(tiles.normals).matte
    decoded = decode_on_white(tiles.normals, mattes)
    world = [normals_to_world(each, camera) for each, camera in zip(decoded, bundle_cameras(), strict=True)]
    return np.stack(world), mattes


def scaled(factors: tuple[float, float, float]) -> Mesh:
    return attrs.evolve(BALL, positions=(BALL.positions * factors).astype(np.float32))


def test_an_outline_is_traced_to_a_tenth_of_a_pixel_and_faces_outwards() -> None:
    row, column = np.mgrid[:64, :64]
    disc = np.clip(20.5 - np.hypot(column - 30, row - 34), 0, 1).astype(np.float32)
    outline = trace(disc)
    away = outline.points - (30, 34)
    radius = np.linalg.norm(away, axis=1)
    assert np.abs(radius - 20).max() < 0.1
    assert np.einsum("ij,ij->i", outline.normals, away / radius[:, None]).min() > 0.95
    assert outline.lengths.sum() == pytest.approx(40 * np.pi, rel=0.01)
    assert len(trace(np.zeros((64, 64), np.float32)).points) == 0


def test_a_drawn_outline_knows_which_places_make_it() -> None:
    camera = bundle_cameras()[1]
    ball = scaled((0.5, 0.5, 0.5))
    drawn = drawn_outline(ball.positions, ball.triangles, camera, 512)
    places = np.einsum("ij,ijk->ik", drawn.barycentric, ball.positions[ball.triangles[drawn.triangle]])
    assert np.linalg.norm(camera.pixels(places, 512) - drawn.outline.points, axis=1).max() < 1.5
    ours, theirs = nearest(drawn.outline, drawn.outline.tree())
    np.testing.assert_array_equal(ours, theirs)


def test_a_ball_that_is_off_by_pixels_goes_back() -> None:
    ball = scaled((0.5, 0.5, 0.5))
    normals, mattes = views_of(ball)
    start = scaled((0.512, 0.49, 0.49))
    fitted = fit_to_views(start, normals, mattes)
    before, after = (np.abs(np.linalg.norm(mesh.positions, axis=1) - 0.5) for mesh in (start, fitted))
    # The caps, which no view sees well, have only their neighbours to follow.
    assert after.mean() < 0.5 * before.mean()
    np.testing.assert_array_equal(fitted.triangles, start.triangles)


def test_no_view_is_worse_off_than_the_worst_was() -> None:
    normals, mattes = views_of(scaled((0.5, 0.5, 0.5)))
    # Normals that lead away from the outlines.
    misleading = np.roll(normals, 1, axis=0)
    start = scaled((0.49, 0.5, 0.5))
    fitted = fit_to_views(start, misleading, mattes)
    before, after = (silhouette_ious(mesh.positions, mesh.triangles, mattes >= 0.5).min() for mesh in (start, fitted))
    assert after >= before


def test_a_cancel_comes_out() -> None:
    def check() -> None:
        raise JobCancelled("Cancelled.")

    normals, mattes = views_of(BALL)
    with pytest.raises(JobCancelled):
        fit_to_views(BALL, normals, mattes, check=check)


def test_the_normal_of_a_pixel_on_the_outline_is_that_of_the_object() -> None:
    normal = np.float32([0.8, 0.36, 0.48])
    share = np.float32([1.0, 0.5, 0.35, 0.1])
    colour = encode_normals(normal).astype(np.float32)
    mixed = np.rint(colour * share[:, None] + 255 * (1 - share[:, None])).astype(np.uint8)
    decoded = decode_on_white(mixed, share)
    np.testing.assert_allclose(decoded[:3], np.tile(normal, (3, 1)), atol=0.02)
    np.testing.assert_array_equal(decoded[3], 0)
