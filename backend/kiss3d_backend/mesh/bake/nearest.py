"""The nearest point of a mesh, for millions of points near it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.raster.threads import usable_cores

_CELLS_PER_TRIANGLE = 1.0
_MOST_CELLS = 256


@attrs.frozen(eq=False)
class Nearest:
    """``triangle``: (P,) int32, -1 where nothing is within reach. ``barycentric``: (P, 3) float32."""

    triangle: NDArray[np.int32]
    barycentric: NDArray[np.float32]


class NearestPoints:
    """A grid over a mesh; each cell lists the triangles whose bounding boxes touch it."""

    def __init__(self, positions: NDArray[np.float32], triangles: NDArray[np.int32]) -> None:
        """``positions``: (V, 3), finite; ``triangles``: (T, 3), at least one."""
        corners = np.ascontiguousarray(positions[triangles], dtype=np.float32)
        low, high = corners.min(axis=1), corners.max(axis=1)
        typical = float(np.sqrt(((high - low) ** 2).sum(axis=1)).mean())
        extent = float((high.max(axis=0) - low.min(axis=0)).max())
        self._cell = max(typical / _CELLS_PER_TRIANGLE, extent / _MOST_CELLS, 1e-12)
        self._origin = low.min(axis=0).astype(np.float64)
        first = np.floor((low - self._origin) / self._cell).astype(np.int64)
        last = np.floor((high - self._origin) / self._cell).astype(np.int64)
        self._shape = last.max(axis=0) + 1
        spans = last - first + 1
        counts = spans.prod(axis=1)
        face = np.repeat(np.arange(len(triangles)), counts)
        offset = np.arange(len(face)) - np.repeat(np.cumsum(counts) - counts, counts)
        offset, z = np.divmod(offset, spans[face, 2])
        x, y = np.divmod(offset, spans[face, 1])
        place = first[face] + np.stack([x, y, z], axis=1)
        cell = (place[:, 0] * self._shape[1] + place[:, 1]) * self._shape[2] + place[:, 2]
        order = np.argsort(cell, kind="stable")
        self._faces = face[order].astype(np.int32)
        self._begins = np.searchsorted(cell[order], np.arange(int(self._shape.prod()) + 1)).astype(np.int64)
        self._corners = corners
        facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(facing, axis=1, keepdims=True)
        self._facing = (facing / np.maximum(length, 1e-30)).astype(np.float32)
        middles = (low + high) / 2.0
        radii = np.sqrt(((corners - middles[:, None]) ** 2).sum(axis=2)).max(axis=1) * 1.0001
        self._balls = np.concatenate([middles, radii[:, None]], axis=1).astype(np.float32)

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
        workers = usable_cores()
        bounds = np.linspace(0, count, workers + 1).astype(int)

        def search(begin: int, end: int) -> None:
            nearest_points(
                points[begin:end],
                normals[begin:end],
                reach,
                self._corners,
                self._facing,
                self._balls,
                self._origin,
                self._cell,
                self._shape,
                self._begins,
                self._faces,
                triangle[begin:end],
                weights[begin:end],
            )

        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(search, bounds[:-1].tolist(), bounds[1:].tolist()))
        return Nearest(triangle, weights)
