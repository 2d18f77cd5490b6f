"""Nodes on a surface: shared along edges, as many as asked for, and linear between."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from tests.mesh.balls import faceted_ball

from kiss3d_backend.mesh.bake.surface_grid import SurfaceGrid

BALL = faceted_ball(12, 6)


def places_of_nodes(grid: SurfaceGrid) -> np.ndarray:
    """(N, 3): found from many points on the surface, each of which is the mean of its nodes by their shares."""
    shares = np.random.default_rng(0).dirichlet((0.5, 0.5, 0.5), 400).astype(np.float32)
    triangle = np.repeat(np.arange(len(BALL.triangles), dtype=np.int32), len(shares))
    barycentric = np.tile(shares, (len(BALL.triangles), 1))
    points = np.einsum("ij,ijk->ik", barycentric, BALL.positions[BALL.triangles[triangle]])
    nodes, parts = grid.at(triangle, barycentric)
    assert parts.min() >= 0
    np.testing.assert_allclose(parts.sum(axis=1), 1, atol=1e-6)
    rows = np.repeat(np.arange(len(points)), 3)
    matrix = sp.csr_array((parts.ravel(), (rows, nodes.ravel())), shape=(len(points), grid.count))
    normal = (matrix.T @ matrix).toarray()
    places = np.linalg.solve(normal, matrix.T @ points)
    np.testing.assert_allclose(matrix @ places, points, atol=1e-4)
    return places


@pytest.mark.parametrize(("asked", "parts"), [(1, 1), (400, 3), (1500, 5)])
def test_every_node_has_one_place(asked: int, parts: int) -> None:
    """Were an edge's nodes numbered from its other end by the other triangle, no places would fit all points."""
    grid = SurfaceGrid.of(BALL.triangles, len(BALL.positions), asked)
    assert grid.parts == parts
    assert grid.count == pytest.approx(len(BALL.triangles) * parts**2 / 2, abs=2)
    places = places_of_nodes(grid)
    np.testing.assert_allclose(places[: len(BALL.positions)], BALL.positions, atol=1e-3)


@pytest.mark.parametrize("asked", [1, 400, 1500])
def test_cells_cover_the_surface_once(asked: int) -> None:
    grid = SurfaceGrid.of(BALL.triangles, len(BALL.positions), asked)
    cells = grid.cells()
    assert cells.shape == (len(BALL.triangles) * grid.parts**2, 3)
    assert len(np.unique(np.sort(cells, axis=1), axis=0)) == len(cells)
    corners = places_of_nodes(grid)[cells]
    whole = BALL.positions[BALL.triangles]
    areas = [
        np.linalg.norm(np.cross(each[:, 1] - each[:, 0], each[:, 2] - each[:, 0]), axis=1) for each in (corners, whole)
    ]
    np.testing.assert_allclose(
        areas[0].reshape(len(whole), -1), np.repeat(areas[1][:, None] / grid.parts**2, grid.parts**2, axis=1), rtol=0.02
    )
