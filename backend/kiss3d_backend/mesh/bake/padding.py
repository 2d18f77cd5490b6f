"""The space between the islands of a texture."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray


def pad_islands(
    pixels: NDArray[np.uint8], covered: NDArray[np.bool_], *, check: Callable[[], None] = lambda: None
) -> NDArray[np.uint8]:
    """Every pixel that is not ``covered`` (H, W) takes the value of the nearest one that is. ``pixels``: (H, W, C).

    Half the space between two islands belongs to each of them, however small a mipmap gets. ``check``: called between
    the steps; what it raises comes out of here.
    """
    if covered.all() or not covered.any():
        return pixels
    _, labels = cv2.distanceTransformWithLabels(
        (~covered).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    check()
    nearest = np.asarray(labels, dtype=np.int32)
    source = np.empty(int(nearest.max()) + 1, dtype=np.int64)
    source[nearest[covered]] = np.flatnonzero(covered)
    return pixels.reshape(-1, pixels.shape[2])[source[nearest]]
