"""Colours spread into places that have none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.resample import resample


def spread_colours(colours: NDArray[np.float32], trust: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keeps colours where ``trust`` is 1 and blends in those of the surroundings where it is less.

    ``colours``: (H, W, C). ``trust``: (H, W) in [0, 1], somewhere above zero. Returns (H, W, C) float32. A pyramid of
    trust-weighted averages, filled from its top down (the pull-push of Gortler, Grzeszczuk, Szeliski and Cohen, 1996).
    """
    height, width = trust.shape
    if min(height, width) <= 2:
        total = max(float(trust.sum()), 1e-12)
        mean = np.einsum("ijk,ij->k", colours, trust) / total
        return colours * trust[..., None] + mean * (1.0 - trust[..., None])
    even = ((0, height % 2), (0, width % 2))
    weight = np.pad(trust, even)
    weighted = np.pad(colours * trust[..., None], (*even, (0, 0)))
    sums = _halved(weight)
    means = (_halved(weighted) / np.maximum(sums, 1e-12)[..., None]).astype(np.float32)
    coarse = spread_colours(means, np.minimum(sums, 1.0))
    # Both axes hold half as many pixels, the last one perhaps half outside.
    rows = (np.arange(height) + 0.5) / 2.0 - 0.5
    columns = (np.arange(width) + 0.5) / 2.0 - 0.5
    filled = resample(coarse, rows, columns, "gaussian")
    return (colours * trust[..., None] + filled * (1.0 - trust[..., None])).astype(np.float32)


def _halved(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums over 2 x 2 pixels."""
    return image[0::2, 0::2] + image[1::2, 0::2] + image[0::2, 1::2] + image[1::2, 1::2]
