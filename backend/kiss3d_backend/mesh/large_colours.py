"""The large-scale colours of an object, and a plausible back made of them."""

from __future__ import annotations

import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from kiss3d_backend.mesh.bleed import spread_colours
from kiss3d_backend.mesh.distance import distance_inside
from kiss3d_backend.mesh.poisson import fill_between
from kiss3d_backend.mesh.resample import centres, resample

SIDE = 128
_DEPTH_SIDE = 256
_NEAR = 41
_MEDIAN = 7
_SOFTNESS = 1.0
_SURE = 8.0
"""A weight of one over this is enough for a place to keep its own colour."""
_ACROSS = 12.0
_MOST_GAIN = 1.6
_GAIN_DEPTH = 12.0


def large_colours(picture: NDArray[np.float32], matte: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours (SIDE, SIDE, 3) of an object without its details, its outlines or anything around it.

    ``picture``: (S, S, 3) in [0, 1]. ``matte``: (S, S) in [0, 1], somewhere above a half. Pixels count the more the
    deeper they lie inside the object, relative to its width there; outside of it colours are continued. Details
    and lines narrower than about a fortieth of the side disappear.
    """
    depth = _relative_depth(matte)
    weight = _shrunk(depth, picture.shape[0])
    size = picture.shape[0]
    small = resample(
        np.concatenate([picture * weight[..., None], weight[..., None]], axis=2),
        centres(SIDE, size),
        centres(SIDE, size),
        "gaussian",
    )
    trust = np.clip(small[..., 3], 0.0, None)
    colours = small[..., :3] / np.maximum(trust, 1e-6)[..., None]
    filled = spread_colours(
        np.clip(colours, 0.0, 1.0).astype(np.float32), np.clip(_SURE * trust, 0.0, 1.0).astype(np.float32)
    )
    median = np.stack([ndi.median_filter(filled[..., channel], _MEDIAN) for channel in range(3)], axis=2)
    return np.asarray(ndi.gaussian_filter(median, (_SOFTNESS, _SOFTNESS, 0.0)), dtype=np.float32)


def colours_behind(large: NDArray[np.float32], matte: NDArray[np.float32]) -> NDArray[np.float32]:
    """A back for the object, (SIDE, SIDE, 3), in the front's own left and right.

    It has the large colours along the rim, and inside it a membrane between them that spreads more easily from side
    to side than up and down: bands go on around the object, a face or a label does not.
    """
    size = matte.shape[0]
    inside = resample(matte, centres(SIDE, size), centres(SIDE, size), "gaussian") > 0.5
    deep = ndi.binary_erosion(inside, iterations=2)
    membrane = fill_between(large, inside & ~deep, deep, _ACROSS)
    # A lit object is darker along its rim than in its middle; its back should not be dark all over.
    brightness = large[deep].mean() / max(float(membrane[deep].mean()), 1e-3) if deep.any() else 1.0
    gain = np.clip(brightness, 1.0, _MOST_GAIN) - 1.0
    inward = np.clip(distance_inside(inside) / _GAIN_DEPTH, 0.0, 1.0)
    return membrane * (1.0 + gain * inward[..., None]).astype(np.float32)


def _relative_depth(matte: NDArray[np.float32]) -> NDArray[np.float32]:
    """(_DEPTH_SIDE, _DEPTH_SIDE): 0 at the rim, 1 where no place nearby lies deeper inside."""
    size = matte.shape[0]
    small = resample(matte, centres(_DEPTH_SIDE, size), centres(_DEPTH_SIDE, size), "gaussian")
    depth = distance_inside(small > 0.5)
    deepest = ndi.maximum_filter(depth, _NEAR)
    return ((depth / np.maximum(deepest, 1e-6)) ** 4).astype(np.float32)


def _shrunk(depth: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The depth at the picture's own size; never above it, so that nothing outside counts."""
    return np.clip(resample(depth, centres(size, depth.shape[0]), centres(size, depth.shape[1]), "gaussian"), 0.0, 1.0)
