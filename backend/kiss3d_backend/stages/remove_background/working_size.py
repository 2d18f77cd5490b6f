"""Images reduced for decisions that need no detail."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def at_most(image: NDArray[np.uint8], side: int) -> NDArray[Any]:
    """``image`` (H, W) or (H, W, 3) uint8 with its long side reduced to ``side``; a smaller one as it is."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1.0:
        return image
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
