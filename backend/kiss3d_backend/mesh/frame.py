"""The frame of every mesh that leaves the pipeline."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def to_unit_box(positions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Positions (V, 3) with the centre of their bounding box at the origin and its longest side 1."""
    low, high = positions.min(axis=0), positions.max(axis=0)
    size = max(float((high - low).max()), 1e-12)
    return ((positions - (low + high) / 2.0) / size).astype(np.float32)
