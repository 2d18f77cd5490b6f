"""The rasteriser against analytic shapes, and views that show the right side."""

from __future__ import annotations

import numpy as np
import pytest
from tests.mesh.shapes import disc

from kiss3d_backend.mesh.inflate import inflate
from kiss3d_backend.mesh.raster.pixels import rasterise
from kiss3d_backend.mesh.render import contact_sheet, render_cutouts, render_views
from kiss3d_backend.mesh.silhouette import silhouette_grid
from kiss3d_backend.mesh.types import Mesh


def ball(colour_of: np.ndarray | None = None) -> Mesh:
    grid = silhouette_grid(disc(100.0), 40)
    body = inflate(grid)
    positions = body.positions * (1, -1, 1)
    positions -= (positions.min(axis=0) + positions.max(axis=0)) / 2
    positions = (positions / np.ptp(positions[:, 0])).astype(np.float32)
    return Mesh(positions, body.triangles)


def test_a_triangle_covers_the_pixels_whose_centres_it_holds() -> None:
    points = np.array([[1.0, 1.0, 0.0], [9.0, 1.0, 0.0], [1.0, 9.0, 0.0]])
    raster = rasterise(points, np.array([[0, 1, 2]], dtype=np.int32), 12, 11)
    y, x = np.mgrid[0:11, 0:12] + 0.5
    np.testing.assert_array_equal(raster.covered, (x >= 1) & (y >= 1) & (x + y <= 10))
    inside = raster.weights[raster.covered]
    np.testing.assert_allclose(inside.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(inside @ points[:, 0], x[raster.covered], atol=1e-5)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearest_triangle_wins(order: list[int]) -> None:
    points = np.array([[0, 0, 2.0], [8, 0, 2], [0, 8, 2], [0, 0, 1.0], [8, 0, 1], [0, 8, 1]])
    triangles = np.array([[0, 1, 2], [3, 4, 5]], dtype=np.int32)[order]
    raster = rasterise(points, triangles, 8, 8)
    assert (raster.triangle[raster.covered] == order.index(1)).all()


def test_triangles_outside_the_picture_are_cut_off() -> None:
    points = np.array([[-50.0, -50.0, 0.0], [90.0, -50.0, 0.0], [-50.0, 90.0, 0.0], [500, 500, 0], [501, 500, 0]])
    raster = rasterise(points, np.array([[0, 1, 2], [2, 3, 4], [0, 0, 1]], dtype=np.int32), 16, 16)
    assert (raster.triangle == 0).all()


def test_nothing_to_draw() -> None:
    raster = rasterise(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int32), 4, 4)
    assert not raster.covered.any()


def test_a_ball_is_round_and_fills_the_picture() -> None:
    alpha = render_cutouts(ball(), 96, [0.0, 130.0], elevation=20.0)[0][..., 3] / 255.0
    rows, columns = np.nonzero(alpha > 0.5)
    assert 80 <= np.ptp(rows) + 1 <= 96
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 1
    assert alpha.sum() == pytest.approx(np.pi / 4 * (np.ptp(rows) + 1) ** 2, rel=0.03)


def test_azimuths_and_elevation_show_the_right_sides() -> None:
    mesh = ball()
    x, y, z = mesh.positions.T
    colours = np.full((len(x), 4), 255, dtype=np.uint8)
    colours[:, :3] = np.where((np.abs(x) > 0.35)[:, None], np.where(x[:, None] > 0, (255, 0, 0), (0, 255, 0)), 90)
    colours[z > 0.35, :3] = (0, 0, 255)
    colours[y > 0.35, :3] = (255, 255, 0)
    coloured = Mesh(mesh.positions, mesh.triangles, colours=colours)
    front, right, back, left = render_cutouts(coloured, 64, [0, 90, 180, 270], 0.0)
    top = render_cutouts(coloured, 64, [0], 89.0)[0]
    assert np.argmax(front[32, 32, :3]) == 2
    assert np.argmax(right[32, 32, :3]) == 0
    assert np.argmax(left[32, 32, :3]) == 1
    assert np.ptp(back[32, 32, :3].astype(int)) <= 2
    assert top[32, 32, 2] < 40
    assert top[32, 32, :2].min() > 120
    # Azimuth 90 looks at the right side: the front then lies to the left.
    assert np.argmax(right[32, 8, :3]) == 2


def test_views_have_a_background_and_sheets_have_a_row_of_views() -> None:
    views = render_views(ball(), 48, [0.0, 90.0])
    assert views.shape == (2, 48, 48, 3)
    assert views.dtype == np.uint8
    assert views[0, 0, 0].min() > 180
    assert contact_sheet(ball(), 32).shape == (32, 128, 3)
