"""Smooth normals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def vertex_normals(positions: NDArray[np.float32], triangles: NDArray[np.int32]) -> NDArray[np.float32]:
    """One unit normal per vertex, (V, 3): the mean of its triangles' normals, weighted by their areas.

    ``positions``: (V, 3). ``triangles``: (T, 3), counter-clockwise from outside. A vertex without an area
    around it gets (0, 0, 1).
    """
    corners = positions[triangles].astype(np.float64)
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    flat = triangles.ravel()
    summed = np.stack([np.bincount(flat, np.repeat(facing[:, axis], 3), len(positions)) for axis in range(3)], axis=1)
    length = np.linalg.norm(summed, axis=1, keepdims=True)
    summed = np.where(length > 0, summed, (0.0, 0.0, 1.0))
    return (summed / np.where(length > 0, length, 1.0)).astype(np.float32)
