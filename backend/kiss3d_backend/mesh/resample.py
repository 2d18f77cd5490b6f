"""Images sampled on a regular grid of any place and step, with a filter as wide as the step asks for."""

from __future__ import annotations

from typing import Literal

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

Kernel = Literal["cubic", "gaussian"]


def resample(
    image: NDArray[np.float32],
    rows: NDArray[np.float64],
    columns: NDArray[np.float64],
    kernel: Kernel = "cubic",
) -> NDArray[np.float32]:
    """Values of ``image`` at every pair of ``rows`` and ``columns``.

    ``image``: (H, W) or (H, W, C). ``rows`` (n,), ``columns`` (m,): evenly spaced, in pixels, where 0 is the
    centre of the first pixel; beyond the border the border's values count. Steps longer than a pixel widen the
    filter, so nothing aliases. ``cubic`` is Keys' interpolating cubic (1981, a = -1/2), ``gaussian`` a blur with a
    standard deviation of half a step (at least half a pixel). Returns (n, m) or (n, m, C) float32.
    """
    height, width = image.shape[:2]
    flat = np.ascontiguousarray(image, dtype=np.float32).reshape(height, -1)
    down = _weights(rows, height, kernel) @ flat
    turned = down.reshape(len(rows), width, -1).transpose(1, 0, 2).reshape(width, -1)
    across = _weights(columns, width, kernel) @ turned
    result = across.reshape(len(columns), len(rows), -1).transpose(1, 0, 2)
    return np.ascontiguousarray(result.reshape(len(rows), len(columns), *image.shape[2:]))


def centres(count: int, size: int) -> NDArray[np.float64]:
    """Positions (count,) of ``count`` new pixel centres that divide ``size`` old pixels evenly."""
    return np.asarray((np.arange(count) + 0.5) * (size / count) - 0.5, dtype=np.float64)


def _weights(positions: NDArray[np.float64], size: int, kernel: Kernel) -> scipy.sparse.csr_array:
    step = abs(positions[1] - positions[0]) if len(positions) > 1 else 1.0
    stretch = max(step, 1.0)
    reach = 2.0 * stretch if kernel == "cubic" else 1.5 * stretch
    taps = int(np.ceil(2 * reach)) + 1
    first = np.ceil(positions - reach).astype(np.int64)
    sources = first[:, None] + np.arange(taps)
    distance = np.abs(sources - positions[:, None]) / stretch
    value = _keys_cubic(distance) if kernel == "cubic" else np.exp(-2.0 * distance**2) * (distance <= 1.5)
    value /= value.sum(axis=1, keepdims=True)
    row = np.repeat(np.arange(len(positions)), taps)
    column = np.clip(sources, 0, size - 1).ravel()
    return scipy.sparse.csr_array((value.ravel().astype(np.float32), (row, column)), shape=(len(positions), size))


def _keys_cubic(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    near = (1.5 * distance - 2.5) * distance**2 + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    return np.where(distance < 1.0, near, np.where(distance < 2.0, far, 0.0))
