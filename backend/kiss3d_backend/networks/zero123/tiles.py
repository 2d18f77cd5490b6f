"""The picture that the network makes: four tiles, two by two.

In reading order (upper row first, left to right) the tiles show the object from azimuth 90, 180, 270 and 0 degrees of
the bundle, as Kiss3DGen's UNet was trained (arXiv 2503.01370).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRID = 2
TILE_AZIMUTHS = (90.0, 180.0, 270.0, 0.0)
"""Of the tiles in reading order, in degrees, as the bundle counts them."""

BUNDLE_ORDER = (3, 0, 1, 2)
"""Which tile in reading order is the bundle's view at azimuth 0, 90, 180 and 270 degrees."""


def split_tiles(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The tiles (4, S, S, 3) of a picture (2 S, 2 S, 3), in reading order. Raises ValueError for another shape."""
    height, width, channels = picture.shape
    if height != width or height % GRID or channels != 3:
        raise ValueError(f"expected a square picture of 2 x 2 RGB tiles, got {picture.shape}")
    side = height // GRID
    tiles = picture.reshape(GRID, side, GRID, side, channels).swapaxes(1, 2)
    return np.ascontiguousarray(tiles.reshape(GRID * GRID, side, side, channels))
