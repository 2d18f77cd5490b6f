"""Connected parts of masks."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray


def connected_regions(mask: NDArray[np.bool_], *, diagonal: bool = False) -> tuple[NDArray[np.int32], int]:
    """Labels from 1 for each connected part of ``mask``, 0 outside, and how many parts there are.

    ``mask``: (H, W) or (D, H, W). ``diagonal``: whether pixels that share only a corner are connected.
    """
    labels = np.zeros(mask.shape, dtype=np.int32)
    count = ndi.label(mask, ndi.generate_binary_structure(mask.ndim, mask.ndim if diagonal else 1), output=labels)
    return labels, int(count)  # pyright: ignore[reportArgumentType]


def region_sizes(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Pixels in each part, (count + 1,); index 0, the outside, has 0."""
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    return sizes
