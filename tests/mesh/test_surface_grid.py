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
def test_each_way_between_neighbours_is_a_side_of_a_cell(asked: int) -> None:
    """One way within a large triangle, two along an edge: one for each of its triangles."""
    grid = SurfaceGrid.of(BALL.triangles, len(BALL.positions), asked)
    cells, inside = grid.cells(), grid.sides_inside()
    assert len(cells) == len(BALL.triangles) * len(inside) == len(BALL.triangles) * grid.parts * (grid.parts + 1) // 2
    sides = np.sort(np.stack([cells, np.roll(cells, -1, axis=1)], axis=2), axis=2).reshape(-1, 2)
    times = np.where(np.tile(inside, (len(BALL.triangles), 1)), 2, 1).ravel()
    ways, which = np.unique(sides, axis=0, return_inverse=True)
    assert (np.bincount(which.ravel(), times) == 2).all()
    # A closed surface of T parts^2 small triangles has half as many sides again.
    assert len(ways) == 3 * len(BALL.triangles) * grid.parts**2 // 2
    places = places_of_nodes(grid)
    lengths = np.linalg.norm(places[cells] - places[np.roll(cells, -1, axis=1)], axis=2)
    whole = BALL.positions[BALL.triangles]
    wanted = np.linalg.norm(whole - np.roll(whole, -1, axis=1), axis=2) / grid.parts
    np.testing.assert_allclose(
        lengths.reshape(len(wanted), -1, 3), np.repeat(wanted[:, None], len(inside), 1), rtol=0.02
    )
