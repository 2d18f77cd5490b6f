"""The frame of every mesh that leaves the pipeline."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.types import Mesh


def to_unit_box(positions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Positions (V, 3) with the centre of their bounding box at the origin and its longest side 1."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    size = max(float((high - low).max()), 1e-12)
    return ((positions - (low + high) / 2.0) / size).astype(np.float32)


def unit_height(mesh: Mesh) -> Mesh:
    """The mesh with the centre of its bounding box at the origin and a height (along y) of 1."""
    low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
    height = max(float(high[1] - low[1]), 1e-12)
    return attrs.evolve(mesh, positions=((mesh.positions - (low + high) / 2.0) / height).astype(np.float32))
