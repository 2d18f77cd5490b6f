"""The space between the islands of a texture."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 512
_LOOK_SECONDS = 0.05


def pad_islands(
    pixels: NDArray[np.uint8], covered: NDArray[np.bool_], *, check: Callable[[], None] = lambda: None
) -> NDArray[np.uint8]:
    """Every pixel that is not ``covered`` (H, W) takes the value of the nearest one that is. ``pixels``: (H, W, C).

    Half the space between two islands belongs to each of them, however small a mipmap gets. ``check``: called between
    the steps; what it raises comes out of here.
    """
    if covered.all() or not covered.any():
        return pixels
    nearest = _nearest_covered(covered, check)
    check()
    source = np.empty(int(nearest.max()) + 1, dtype=np.int64)
    for row in range(0, len(pixels), _ROWS_AT_ONCE):
        check()
        band = covered[row : row + _ROWS_AT_ONCE]
        source[nearest[row : row + _ROWS_AT_ONCE][band]] = np.flatnonzero(band) + row * pixels.shape[1]
    padded, flat = np.empty_like(pixels), pixels.reshape(-1, pixels.shape[2])
    for row in range(0, len(pixels), _ROWS_AT_ONCE):
        check()
        padded[row : row + _ROWS_AT_ONCE] = flat[source[nearest[row : row + _ROWS_AT_ONCE]]]
    return padded


def _nearest_covered(covered: NDArray[np.bool_], check: Callable[[], None]) -> NDArray[np.int32]:
    """For each pixel the number of the nearest covered one, in OpenCV's own counting."""
    # One call of half a second for a large texture; on a thread of its own, a cancel need not wait for its end.
    thread = ThreadPoolExecutor(1)
    try:
        found = thread.submit(
            cv2.distanceTransformWithLabels,
            (~covered).astype(np.uint8),
            cv2.DIST_L2,
            cv2.DIST_MASK_5,
            labelType=cv2.DIST_LABEL_PIXEL,
        )
        while True:
            check()
            try:
                return np.asarray(found.result(timeout=_LOOK_SECONDS)[1], dtype=np.int32)
            except TimeoutError:
                continue
    finally:
        thread.shutdown(wait=False)
