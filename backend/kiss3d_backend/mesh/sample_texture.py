"""Textures looked up at UVs, the way a renderer does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sample_texture(pixels: NDArray[np.uint8] | NDArray[np.float32], uv: NDArray[np.floating]) -> NDArray[np.float32]:
    """Bilinear colours (N, 3), as ``pixels`` (H, W, 3 or 4) have them, at UVs (N, 2), v upwards.

    A texture goes on beyond [0, 1] by repeating itself.
    """
    height, width = pixels.shape[:2]
    u, v = uv[:, 0].astype(np.float64), 1.0 - uv[:, 1].astype(np.float64)
    inside = (u >= 0) & (u <= 1) & (v >= 0) & (v <= 1)
    x = np.where(inside, u, u - np.floor(u)) * width - 0.5
    y = np.where(inside, v, v - np.floor(v)) * height - 0.5
    left, top = np.floor(x), np.floor(y)
    right_share = (x - left).astype(np.float32)[:, None]
    lower_share = (y - top).astype(np.float32)[:, None]
    columns = [_texel(left + step, width, inside) for step in (0, 1)]
    rows = [_texel(top + step, height, inside) for step in (0, 1)]
    upper, lower = (
        pixels[row, columns[0], :3] * (1 - right_share) + pixels[row, columns[1], :3] * right_share for row in rows
    )
    return (upper * (1 - lower_share) + lower * lower_share).astype(np.float32)


def _texel(index: NDArray[np.float64], count: int, inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Clamped where the UV is in the texture (no bleeding from the other side), repeated where it is not."""
    whole = index.astype(np.int64)
    return np.where(inside, np.clip(whole, 0, count - 1), whole % count)
