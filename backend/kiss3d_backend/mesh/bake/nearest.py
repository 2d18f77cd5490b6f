"""The nearest point of a mesh, for millions of points near it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.at_once import Check, at_once

_CELLS_PER_TRIANGLE = 1.0
_MOST_CELLS = 256
_AT_ONCE = 1 << 15


@attrs.frozen(eq=False)
class Nearest:
    """``triangle``: (P,) int32, -1 where nothing is within reach. ``barycentric``: (P, 3) float32."""

    triangle: NDArray[np.int32]
    barycentric: NDArray[np.float32]


class NearestPoints:
    """A grid over a mesh; each cell lists the triangles whose bounding boxes touch it.

    ``mesh``: of each of T triangles its corners (T, 3, 3), the way it faces (T, 3), and the middle and radius of a ball
    around it (T, 4). ``grid``: origin (3,), the side of a cell, how many cells along each axis (3,); the first entry of
    each cell and, last, how many there are; and the triangle of each entry. So the kernels take them.
    """

    def __init__(self, positions: NDArray[np.float32], triangles: NDArray[np.int32]) -> None:
        """``positions``: (V, 3), finite; ``triangles``: (T, 3), at least one."""
        corners = np.ascontiguousarray(positions[triangles], dtype=np.float32)
        low, high = corners.min(axis=1), corners.max(axis=1)
        typical = float(np.sqrt(((high - low) ** 2).sum(axis=1)).mean())
        extent = float((high.max(axis=0) - low.min(axis=0)).max())
        size = max(typical / _CELLS_PER_TRIANGLE, extent / _MOST_CELLS, 1e-12)
        origin = low.min(axis=0).astype(np.float64)
        first = np.floor((low - origin) / size).astype(np.int64)
        last = np.floor((high - origin) / size).astype(np.int64)
        shape = last.max(axis=0) + 1
        spans = last - first + 1
        counts = spans.prod(axis=1)
        face = np.repeat(np.arange(len(triangles)), counts)
        offset = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
        offset, z = np.divmod(offset, spans[face, 2])
        x, y = np.divmod(offset, spans[face, 1])
        place = first[face] + np.stack([x, y, z], axis=1)
        cell = (place[:, 0] * shape[1] + place[:, 1]) * shape[2] + place[:, 2]
        order = np.argsort(cell, kind="stable")
        begins = np.searchsorted(cell[order], np.arange(int(shape.prod()) + 1)).astype(np.int64)
        self.grid = origin, size, shape, begins, face[order].astype(np.int32)
        facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(facing, axis=1, keepdims=True)
        facing = (facing / np.maximum(length, 1e-30)).astype(np.float32)
        middles = (low + high) / 2.0
        radii = np.sqrt(((corners - middles[:, None]) ** 2).sum(axis=2)).max(axis=1) * 1.0001
        balls = np.concatenate([middles, radii[:, None]], axis=1).astype(np.float32)
        self.mesh = corners, facing, balls

    def to(self, points: NDArray[np.float32], normals: NDArray[np.float32], reach: float) -> Nearest:
        """The nearest points within ``reach`` on triangles that face the same way as ``normals`` (P, 3).

        ``points``: (P, 3). Asking for the same way keeps the two sides of a thin plate apart.
        """
        # Numba takes half a second to import.
        from kiss3d_backend.mesh.bake.kernels import nearest_points

        count = len(points)
        triangle = np.full(count, -1, dtype=np.int32)
        weights = np.zeros((count, 3), dtype=np.float32)
        points = np.ascontiguousarray(points, dtype=np.float32)
        normals = np.ascontiguousarray(normals, dtype=np.float32)

        def search(begin: int) -> Callable[[Check], None]:
            part = slice(begin, begin + _AT_ONCE)
            return lambda _: nearest_points(
                points[part], normals[part], reach, self.mesh, self.grid, triangle[part], weights[part]
            )

        at_once(lambda: None, [search(begin) for begin in range(0, count, _AT_ONCE)])
        return Nearest(triangle, weights)
