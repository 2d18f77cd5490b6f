"""Whether a picture's alpha already cuts the object out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bleed import spread_colours

_LEAST_TRANSPARENT = 0.01
_MOST_BORDER = 0.6


def has_cutout_alpha(alpha: NDArray[np.uint8]) -> bool:
    """Whether ``alpha`` (H, W) leaves an object out of its surroundings.

    Not so when hardly anything is transparent, or when only the corners are: a picture with rounded corners or a
    soft frame still has its background.
    """
    seen = alpha > 127
    if 1.0 - seen.mean() < _LEAST_TRANSPARENT:
        return False
    sides = [seen[0].mean(), seen[-1].mean(), seen[:, 0].mean(), seen[:, -1].mean()]
    return min(sides) < _MOST_BORDER


def opaque_colours(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 4) with alpha 255 everywhere: see-through pixels take the colours around them."""
    colours = spread_colours(rgba[..., :3].astype(np.float32), (rgba[..., 3].astype(np.float32) / 255.0))
    filled = np.full_like(rgba, 255)
    filled[..., :3] = np.clip(colours + 0.5, 0, 255).astype(np.uint8)
    return filled
