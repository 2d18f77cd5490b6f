"""Pictures with transparency over white."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def on_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``rgba`` (H, W, 4) uint8 with straight alpha over white, (H, W, 3), rounded."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
