"""Distances within masks."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray


def distance_inside(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For each pixel of ``mask`` (H, W), pixels to the nearest one outside of it; 0 outside."""
    distance = ndi.distance_transform_edt(mask)
    assert isinstance(distance, np.ndarray)
    return distance
