"""Pictures looked up at any number of places."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_ROW = 4096
"""OpenCV takes places as an image, of less than 32768 pixels on a side."""


def look_up(image: NDArray[np.float32], columns: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Values (P, C) of ``image`` (H, W, C), C at most 4, at ``columns`` and ``rows`` (P,).

    Places are in pixels; 0 is the centre of the first one. Bicubic, which may overshoot a little. Beyond the border the
    border's values count.
    """
    count = len(columns)
    if not count:
        return np.empty((0, image.shape[2]), dtype=np.float32)
    places = np.zeros((2, -(-count // _ROW) * _ROW), dtype=np.float32)
    places[0, :count], places[1, :count] = columns, rows
    across, down = places.reshape(2, -1, _ROW)
    values = cv2.remap(np.ascontiguousarray(image), across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(values, dtype=np.float32).reshape(-1, image.shape[2])[:count]
