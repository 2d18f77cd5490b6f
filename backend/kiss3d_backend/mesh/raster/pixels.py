"""Triangles to pixels with a depth buffer, in NumPy alone: for previews and for places that must start at once."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

_FRAGMENTS_AT_ONCE = 4_000_000
_DEPTH_STEPS = 2**31 - 1


@attrs.frozen(eq=False)
class Raster:
    """What is seen at each pixel.

    ``triangle``: (H, W) int32, -1 where nothing is. ``weights``: (H, W, 3) float32, the barycentric coordinates of the
    pixel's centre in that triangle, linear in the image; zero where nothing is.
    """

    triangle: NDArray[np.int32]
    weights: NDArray[np.float32]

    @property
    def covered(self) -> NDArray[np.bool_]:
        return self.triangle >= 0


def rasterise(points: NDArray[np.float64], triangles: NDArray[np.int32], width: int, height: int) -> Raster:
    """The nearest triangle at each pixel centre; the centre of pixel (row i, column j) is (j + 0.5, i + 0.5).

    ``points``: (V, 3): x to the right and y down in pixels, and a depth that grows away from the eye and is linear in
    the image. ``triangles``: (T, 3), of either orientation; those without an area in the image are left out.
    """
    corners = points[triangles]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    doubled_area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    low = np.ceil(corners[..., :2].min(axis=1) - 0.5).astype(np.int64)
    high = np.floor(corners[..., :2].max(axis=1) - 0.5).astype(np.int64) + 1
    low = np.maximum(low, 0)
    high = np.minimum(high, (width, height))
    spans = np.maximum(high - low, 0)
    fragments = spans[:, 0] * spans[:, 1]
    drawn = np.flatnonzero((np.abs(doubled_area) > 1e-12) & (fragments > 0))

    nearest = points[:, 2].min() if len(points) else 0.0
    scale = _DEPTH_STEPS / max(float(np.ptp(points[:, 2])), 1e-12) if len(points) else 1.0
    # Depth in the high half, triangle in the low half: the least key is the nearest triangle.
    empty = np.iinfo(np.int64).max
    keys = np.full(width * height, empty, dtype=np.int64)
    begin = 0
    ends = np.cumsum(fragments[drawn])
    while begin < len(drawn):
        before = ends[begin - 1] if begin else 0
        end = max(int(np.searchsorted(ends, before + _FRAGMENTS_AT_ONCE, side="right")), begin + 1)
        chosen = drawn[begin:end]
        triangle = np.repeat(chosen, fragments[chosen])
        first = np.repeat(np.cumsum(fragments[chosen]) - fragments[chosen], fragments[chosen])
        offset = np.arange(len(triangle)) - first
        row, column = np.divmod(offset, spans[triangle, 0])
        column += low[triangle, 0]
        row += low[triangle, 1]
        weights = _weights(corners[triangle], doubled_area[triangle], column, row)
        hit = (weights >= 0).all(axis=1)
        triangle, weights = triangle[hit], weights[hit]
        depth = np.einsum("ij,ij->i", weights, points[triangles[triangle], 2])
        key = (np.clip((depth - nearest) * scale, 0, _DEPTH_STEPS).astype(np.int64) << 32) | triangle
        np.minimum.at(keys, row[hit] * width + column[hit], key)
        begin = end

    seen = keys != empty
    index = np.full(width * height, -1, dtype=np.int32)
    index[seen] = (keys[seen] & 0xFFFFFFFF).astype(np.int32)
    pixels = np.flatnonzero(seen)
    weights = np.zeros((width * height, 3), dtype=np.float32)
    weights[pixels] = _weights(corners[index[pixels]], doubled_area[index[pixels]], pixels % width, pixels // width)
    return Raster(index.reshape(height, width), weights.reshape(height, width, 3))


def _weights(
    corners: NDArray[np.float64],
    doubled_area: NDArray[np.float64],
    column: NDArray[np.int64],
    row: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Barycentric coordinates (F, 3) of pixel centres in their own triangles (F, 3, 3)."""
    x, y = column + 0.5, row + 0.5
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    wb = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (y - a[:, 1])) / doubled_area
    wc = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (x - a[:, 0]) * (b[:, 1] - a[:, 1])) / doubled_area
    return np.stack([1.0 - wb - wc, wb, wc], axis=1)
