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
    # Numba takes half a second to import.
    from kiss3d_backend.mesh.bake.kernels import copy_pixels, nearest_pixels

    if covered.all() or not covered.any():
        return pixels
    nearest = _nearest_covered(covered, check)
    check()
    source = np.empty(int(nearest.max()) + 1, dtype=np.int64)
    flat, label = pixels.reshape(-1, pixels.shape[2]), nearest.ravel()
    nearest_pixels(covered.ravel(), label, source)
    padded = np.empty_like(flat)
    at_once = _ROWS_AT_ONCE * pixels.shape[1]
    for begin in range(0, len(flat), at_once):
        check()
        copy_pixels(flat, label[begin : begin + at_once], source, padded[begin : begin + at_once])
    return padded.reshape(pixels.shape)


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
