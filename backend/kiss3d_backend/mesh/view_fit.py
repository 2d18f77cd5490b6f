"""How well a mesh fills the silhouettes of a bundle, and the scale at which it does best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.camera import bundle_cameras
from kiss3d_backend.mesh.raster import rasterize

COARSE_SIDE = 128
_STEPS = 9
_ROUNDS = 3


def silhouette_ious(
    positions: NDArray[np.float32], triangles: NDArray[np.int32], masks: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Intersection over union with each view's mask, (4,); 0 where both are empty.

    ``positions``: (V, 3) in the bundle's world. ``masks``: (4, S, S) bool of the bundle's views.
    """
    clip = np.stack([camera.clip(positions) for camera in bundle_cameras()]).astype(np.float32)
    covered = rasterize(clip, triangles, (masks.shape[1], masks.shape[2])).covered
    both = (covered & masks).sum(axis=(1, 2))
    either = (covered | masks).sum(axis=(1, 2))
    return both / np.maximum(either, 1)


def best_scale(
    positions: NDArray[np.float32],
    triangles: NDArray[np.int32],
    masks: NDArray[np.bool_],
    low: float = 0.6,
    high: float = 1.6,
) -> float:
    """The factor, from ``low`` to ``high``, by which positions fill the masks best (mean IoU of the views).

    Searched in a few rounds of even steps, each round around the best of the last, on masks of
    :data:`COARSE_SIDE` pixels; good to about half a percent.
    """
    stride = max(masks.shape[1] // COARSE_SIDE, 1)
    small = masks[:, stride // 2 :: stride, stride // 2 :: stride]
    best = 1.0
    for _ in range(_ROUNDS):
        factors = np.linspace(low, high, _STEPS)
        fits = [silhouette_ious(positions * np.float32(factor), triangles, small).mean() for factor in factors]
        best = float(factors[int(np.argmax(fits))])
        step = (high - low) / (_STEPS - 1)
        low, high = best - step, best + step
    return best
