"""Which point of the surface each pixel of the texture shows."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.at_once import Check, at_once
from kiss3d_backend.mesh.raster import rasterize

_FRINGE = 1.5
"""Pixels. A bilinear look-up at the edge of an island reaches this far beyond it."""

_BESIDE = 4
_ROWS_AT_ONCE = 512


@attrs.frozen(eq=False)
class Texels:
    """The P pixels of a square texture that show the surface, in ascending order.

    ``pixel``: (P,) int64, row x side + column, row 0 at the top. ``triangle``: (P,) int32. ``barycentric``: (P, 3)
    float32, each in [0, 1]. ``side``: of the texture, in pixels. Pixels whose centre lies just outside an island show
    the nearest point of its edge, so that interpolation at the edge mixes in nothing else.
    """

    pixel: NDArray[np.int64]
    triangle: NDArray[np.int32]
    barycentric: NDArray[np.float32]
    side: int

    def mix(self, values: NDArray[np.float32], triangles: NDArray[np.int32], part: slice) -> NDArray[np.float32]:
        """Vertex values (V, C) interpolated at a run of the pixels, (p, C)."""
        # Numba takes half a second to import.
        from kiss3d_backend.mesh.bake.kernels import mix_corners

        mixed = np.empty((len(self.pixel[part]), values.shape[1]), dtype=np.float32)
        mix_corners(values, triangles, self.triangle[part], self.barycentric[part], mixed)
        return mixed

    def run(self, begin: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """``pixel``, ``triangle`` and ``barycentric`` of a run of the pixels, as the kernels take them."""
        return self.pixel[begin:end], self.triangle[begin:end], self.barycentric[begin:end]

    def covered(self) -> NDArray[np.bool_]:
        """(side, side): which pixels these are."""
        covered = np.zeros(self.side**2, dtype=bool)
        covered[self.pixel] = True
        return covered.reshape(self.side, self.side)


def find_texels(
    uvs: NDArray[np.float32],
    uv_triangles: NDArray[np.int32],
    side: int,
    *,
    check: Callable[[], None] = lambda: None,
) -> Texels:
    """Rasterises the islands. ``uvs``: (N, 2) in [0, 1], v upwards; ``uv_triangles``: (T, 3). ``check``: called between
    bands of rows; what it raises comes out of here.
    """

    def band(first: int) -> Callable[[Check], Texels]:
        return lambda _: _band(uvs, uv_triangles, side, first, min(_ROWS_AT_ONCE, side - first))

    bands: list[Texels] = at_once(check, [band(first) for first in range(0, side, _ROWS_AT_ONCE)])
    check()
    pixel = np.concatenate([band.pixel for band in bands])
    triangle = np.concatenate([band.triangle for band in bands])
    check()
    barycentric = np.concatenate([band.barycentric for band in bands])
    check()
    return Texels(pixel, triangle, barycentric, side)


def _band(uvs: NDArray[np.float32], uv_triangles: NDArray[np.int32], side: int, first: int, rows: int) -> Texels:
    """The texels of ``rows`` rows from ``first`` on; the rows beside them are drawn too, as far as a fringe reaches."""
    top, bottom = max(first - _BESIDE, 0), min(first + rows + _BESIDE, side)
    height = bottom - top
    clip = np.zeros((1, len(uvs), 4), dtype=np.float32)
    clip[0, :, 0] = uvs[:, 0] * 2.0 - 1.0
    # The rows of the band, from top to bottom, become 1 to -1.
    clip[0, :, 1] = 1.0 - 2.0 * ((1.0 - uvs[:, 1].astype(np.float64)) * side - top) / height
    clip[0, :, 3] = 1.0
    fragments = rasterize(clip, uv_triangles, (height, side))
    triangle, barycentric = fragments.triangle[0].ravel(), fragments.barycentric[0].reshape(-1, 3)
    covered = triangle >= 0
    if not covered.any():
        return Texels(np.empty(0, np.int64), np.empty(0, np.int32), np.empty((0, 3), np.float32), side)
    if not covered.all():
        empty = (~covered).astype(np.uint8).reshape(height, side)
        distances, labels = cv2.distanceTransformWithLabels(
            empty, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
        )
        distance, nearest = distances.ravel(), np.asarray(labels, dtype=np.int32).ravel()
        fringe = np.flatnonzero((distance > 0) & (distance < _FRINGE + 0.01))
        owner = np.empty(int(nearest.max()) + 1, dtype=np.int32)
        owner[nearest[covered]] = triangle[covered]
        beside = owner[nearest[fringe]]
        weights = _nearest_weights(uvs[uv_triangles[beside]] * side, _centres(fringe + top * side, side))
        triangle[fringe], barycentric[fringe] = beside, weights
    begin, end = (first - top) * side, (first - top + rows) * side
    shown = np.flatnonzero(triangle[begin:end] >= 0) + begin
    return Texels(shown + top * side, triangle[shown], np.clip(barycentric[shown], 0.0, 1.0), side)


def _centres(pixel: NDArray[np.int64], side: int) -> NDArray[np.float32]:
    """Pixel centres (P, 2) in the frame of the UVs, in pixels."""
    row, column = np.divmod(pixel, side)
    return np.stack([column + 0.5, side - row - 0.5], axis=1).astype(np.float32)


def _nearest_weights(corners: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Barycentric coordinates (P, 3) of the nearest points on the edges of triangles (P, 3, 2) to points (P, 2)."""
    count = len(points)
    best = np.full(count, np.inf, dtype=np.float32)
    weights = np.zeros((count, 3), dtype=np.float32)
    for corner in range(3):
        start, end = corners[:, corner], corners[:, (corner + 1) % 3]
        along = end - start
        squared = np.maximum(np.einsum("ij,ij->i", along, along), 1e-12)
        share = np.clip(np.einsum("ij,ij->i", points - start, along) / squared, 0.0, 1.0)
        offset = points - start - along * share[:, None]
        distance = np.einsum("ij,ij->i", offset, offset)
        nearer = np.flatnonzero(distance < best)
        best[nearer] = distance[nearer]
        weights[nearer] = 0.0
        weights[nearer, corner] = 1.0 - share[nearer]
        weights[nearer, (corner + 1) % 3] = share[nearer]
    return weights
