"""Masks grown and shrunk by whole pixels, diagonals included (OpenCV: faster than SciPy's own by far)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SQUARE = np.ones((3, 3), dtype=np.uint8)


def grown(mask: NDArray[np.bool_], pixels: int = 1) -> NDArray[np.bool_]:
    """``mask`` (H, W) and everything within ``pixels`` of it; nothing comes in from outside the image."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _SQUARE, iterations=pixels)) > 0


def shrunk(mask: NDArray[np.bool_], pixels: int = 1) -> NDArray[np.bool_]:
    """What of ``mask`` (H, W) lies more than ``pixels`` from everything else; the image's border does not count."""
    return np.asarray(cv2.erode(mask.astype(np.uint8), _SQUARE, iterations=pixels)) > 0


def opened(mask: NDArray[np.bool_], pixels: int = 1) -> NDArray[np.bool_]:
    """``mask`` without what is narrower than 2 ``pixels`` + 1."""
    return grown(shrunk(mask, pixels), pixels)


def closed(mask: NDArray[np.bool_], pixels: int = 1) -> NDArray[np.bool_]:
    """``mask`` with gaps narrower than 2 ``pixels`` + 1 filled."""
    return shrunk(grown(mask, pixels), pixels)
