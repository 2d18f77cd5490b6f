"""Better-shaped triangles on the same surface."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.ndimage as ndi
import scipy.sparse
from numpy.typing import NDArray

from kiss3d_backend.mesh.inflate import Body
from kiss3d_backend.mesh.normals import vertex_normals

_LONGEST_STEP = 0.3
_FARTHEST = 0.6


def relax(body: Body, rounds: int, on_round: Callable[[int], None] | None = None) -> NDArray[np.float64]:
    """Positions (V, 3), in cells, after ``rounds`` of evening out along the surface and returning to it.

    Each round moves vertices half way to the mean of their neighbours, in their tangent plane only, then along the
    gradient of u - z^2 back to its zero. Vertices on the plane of the outline stay on it, and the body stays
    symmetric. No vertex goes farther than a part of a cell, so thin parts cannot collapse. ``on_round`` is told each
    round that is done.
    """
    averages = _neighbour_average(body.triangles, len(body.positions))
    on_plane = body.positions[:, 2] == 0.0
    splines = ndi.spline_filter(body.u, order=3)
    slopes = [np.gradient(body.u, axis=axis) for axis in (0, 1)]
    positions = body.positions
    for done in range(rounds):
        normals = vertex_normals(positions.astype(np.float32), body.triangles).astype(np.float64)
        pull = averages @ positions - positions
        pull -= normals * np.einsum("ij,ij->i", pull, normals)[:, None]
        moved = positions + 0.5 * pull
        for _ in range(2):
            moved = moved + _back_to_surface(moved, splines, slopes)
        moved = body.positions + _no_longer_than(moved - body.positions, _FARTHEST)
        moved[on_plane, 2] = 0.0
        # The mirror image must not fold through the plane.
        moved[:, 2] = np.where(
            body.positions[:, 2] > 0, np.maximum(moved[:, 2], 0.02), np.minimum(moved[:, 2], -0.02)
        ) * (~on_plane)
        positions = moved
        if on_round is not None:
            on_round(done + 1)
    return positions


def _back_to_surface(
    positions: NDArray[np.float64], splines: NDArray[np.float64], slopes: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """One Newton step (V, 3) towards u - z^2 = 0."""
    at = positions[:, [1, 0]].T
    value = ndi.map_coordinates(splines, at, order=3, prefilter=False, mode="nearest") - positions[:, 2] ** 2
    down, right = (ndi.map_coordinates(part, at, order=1, prefilter=False, mode="nearest") for part in slopes)
    gradient = np.stack([right, down, -2.0 * positions[:, 2]], axis=1)
    steepness = np.einsum("ij,ij->i", gradient, gradient)
    return _no_longer_than(-gradient * (value / np.maximum(steepness, 1e-6))[:, None], _LONGEST_STEP)


def _no_longer_than(moves: NDArray[np.float64], longest: float) -> NDArray[np.float64]:
    length = np.linalg.norm(moves, axis=1, keepdims=True)
    return moves * np.minimum(1.0, longest / np.maximum(length, 1e-12))


def _neighbour_average(triangles: NDArray[np.int32], count: int) -> scipy.sparse.csr_array:
    """A matrix (V, V) that takes the mean over each vertex's neighbours."""
    start = triangles[:, [0, 1, 2, 1, 2, 0]].ravel()
    end = triangles[:, [1, 2, 0, 0, 1, 2]].ravel()
    links = scipy.sparse.csr_array((np.ones(len(start)), (start, end)), shape=(count, count))
    degree = np.asarray(links.sum(axis=1)).ravel()
    share = scipy.sparse.diags_array(1.0 / np.maximum(degree, 1.0))
    return scipy.sparse.csr_array(share @ links)
