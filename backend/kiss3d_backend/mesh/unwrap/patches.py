"""A mesh cut into patches that can be unwrapped side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FACES = 1250
"""Of a patch, about. Smaller ones would cost seams: most islands have no more than half of this."""


def cut(positions: NDArray[np.float32], triangles: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """The triangles of each patch, in ascending order; each triangle is in one patch, none is empty.

    ``positions``: (V, 3), finite; ``triangles``: (T, 3), at least one. Halves are halved again, each across the
    direction in which it is longest. How many there are depends on T alone, so that every machine makes the same UVs.
    """
    a, b, c = (positions[triangles[:, corner]].astype(np.float64) for corner in range(3))
    return _halved((a + b + c) / 3.0, np.arange(len(triangles)), max(1, round(len(triangles) / _FACES)))


def _halved(middles: NDArray[np.float64], faces: NDArray[np.int64], parts: int) -> list[NDArray[np.int64]]:
    if parts == 1:
        return [np.sort(faces)]
    away = middles[faces] - middles[faces].mean(axis=0)
    longest = np.linalg.eigh(away.T @ away)[1][:, 2]
    order = faces[np.argsort(away @ longest, kind="stable")]
    first = parts // 2
    here = len(order) * first // parts
    return _halved(middles, order[:here], first) + _halved(middles, order[here:], parts - first)
