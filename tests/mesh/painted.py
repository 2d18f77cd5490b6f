"""Solids with a pattern that has edges, gradients and a front."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.types import Mesh


def pattern(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Colours (P, 3) in [0, 1] at points (P, 3) of the unit box."""
    scaled = 2.0 * np.asarray(points, dtype=np.float64)
    base = 0.5 + 0.3 * np.sin(scaled * (5, 7, 6) + (0, 1, 2))
    stripes = np.tanh(8 * np.sin(22 * scaled[:, 1]))[:, None] * (0.12, -0.1, 0.05)
    spots = np.tanh(8 * (np.sin(14 * scaled[:, 0]) * np.sin(14 * scaled[:, 2] + 1) - 0.4))[:, None]
    return np.clip(base + stripes + spots * (-0.1, 0.08, 0.12), 0, 1)


def painted(mesh: Mesh) -> Mesh:
    """The mesh with the pattern as its vertex colours."""
    rgb = (pattern(mesh.positions) * 255 + 0.5).astype(np.uint8)
    return attrs.evolve(mesh, colours=np.concatenate([rgb, np.full((len(rgb), 1), 255, np.uint8)], axis=1))


def psnr(seen: NDArray[np.uint8], wanted: NDArray[np.uint8], where: NDArray[np.bool_]) -> float:
    """Peak signal to noise ratio in dB over the pixels ``where``."""
    error = (seen.astype(np.float64) - wanted)[where] / 255
    return float(-10 * np.log10(max(float((error**2).mean()), 1e-12)))
