"""The noise levels of a run: which, and from which on.

Sigma is the share of noise, 1 to 0. The published schedules, to the last bit of their float32: FLUX's own
(https://github.com/black-forest-labs/flux, diffusers' FluxPipeline) and that of diffusers'
FlowMatchHeunDiscreteScheduler, which the Kiss3DGen configuration samples with.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_BASE_TOKENS, _BASE_SHIFT = 256, 0.5
_MOST_TOKENS, _MOST_SHIFT = 4096, 1.15

TIMESTEPS = 1000
"""The transformer reads a sigma times this."""

DEV_STATIC_SHIFT = 3.0
"""``shift`` in dev's scheduler configuration: Heun's schedule uses it, FLUX's own does not."""


def resolution_shift(tokens: int) -> float:
    """mu for so many image tokens: linear through .5 at 256 and 1.15 at 4096, and on beyond."""
    slope = (_MOST_SHIFT - _BASE_SHIFT) / (_MOST_TOKENS - _BASE_TOKENS)
    return tokens * slope + (_BASE_SHIFT - slope * _BASE_TOKENS)


def flux_sigmas(steps: int, mu: float | None) -> NDArray[np.float32]:
    """``steps`` falling sigmas and the final 0, (steps + 1,) float32.

    ``mu``: e^mu / (e^mu + 1 / sigma - 1) is applied to the even spacing from 1 to 1 / steps (dev); None leaves it
    (schnell).
    """
    sigmas = np.linspace(1.0, 1 / steps, steps).astype(np.float32)
    if mu is not None:
        sigmas = math.exp(mu) / (math.exp(mu) + (1 / sigmas - 1))
    return np.append(sigmas, 0).astype(np.float32)


def heun_sigmas(steps: int, shift: float) -> NDArray[np.float32]:
    """The schedule that the published Heun scheduler makes for itself, (steps + 1,) float32.

    Evenly spaced from 1 to the shifted 1 / 1000, and then shifted once more by s sigma / (1 + (s - 1) sigma).
    """

    def shifted(sigma: NDArray[np.floating]) -> NDArray[np.floating]:
        return shift * sigma / (1 + (shift - 1) * sigma)

    # The scheduler keeps its end points as float32.
    ends = shifted(np.array([1.0, np.float32(1) / np.float32(TIMESTEPS)], dtype=np.float32)).astype(np.float32)
    sigmas = shifted(np.linspace(float(ends[0]) * TIMESTEPS, float(ends[1]) * TIMESTEPS, steps) / TIMESTEPS)
    return np.append(sigmas.astype(np.float32), 0).astype(np.float32)


def first_step(steps: int, strength: float) -> int:
    """How many steps image-to-image leaves out: as published, rounded down, from min(steps * strength, steps).

    ``strength``: above 0, at most 1. Raises ValueError when no step would be left.
    """
    start = int(max(steps - min(steps * strength, steps), 0))
    if start >= steps:
        raise ValueError(f"a strength of {strength} leaves none of {steps} steps")
    return start
