"""Noise levels, and one step of ancestral Euler sampling between two of them.

The sampler is that of k-diffusion (arXiv 2206.00364, algorithm 2, with the noise split of its ancestral variant), for
a network that predicts v (arXiv 2202.00512); the levels are trailing (arXiv 2305.08891, table 2). They are computed
here as diffusers computes them, whose own scheduler draws the noise itself and waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from kiss3d_protocol.errors import ModelFileCorrupt, ParamsInvalid


@attrs.frozen
class Schedule:
    """T levels. ``timesteps``: T numbers for the network, falling. ``sigmas``: T + 1, the last one 0."""

    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.timesteps)


def trailing_schedule(config: Mapping[str, Any], steps: int) -> Schedule:
    """The levels for ``steps`` (1 to the number that the network was trained with, 1000).

    There are ``steps`` of them, but one more for a few counts (61 is the first, 103 the next), where rounding makes
    diffusers, and with it the published pipeline, end with an extra step at the lowest level.

    ``config``: the repository's scheduler configuration; what it says about spacing is overruled. Raises
    :class:`ParamsInvalid` for another number of steps, :class:`ModelFileCorrupt` for a configuration of another kind.
    """
    trained = _trained_sigmas(config)
    if not 1 <= steps <= len(trained):
        raise ParamsInvalid(f"The multiview stage runs 1 to {len(trained)} steps, not {steps}.")
    timesteps = np.arange(len(trained), 0, -len(trained) / steps).round().astype(np.float32) - 1
    sigmas = np.interp(timesteps, np.arange(len(trained)), trained)
    return Schedule(tuple(map(float, timesteps)), (*map(float, sigmas), 0.0))


def _trained_sigmas(config: Mapping[str, Any]) -> NDArray[np.float32]:
    """The noise level of every timestep that the network was trained with."""
    if config.get("prediction_type") != "v_prediction" or config.get("rescale_betas_zero_snr"):
        raise ModelFileCorrupt("The multiview model's scheduler configuration is not that of a model that predicts v.")
    try:
        count, start, end = int(config["num_train_timesteps"]), float(config["beta_start"]), float(config["beta_end"])
        power = {"linear": 1, "scaled_linear": 2}[config["beta_schedule"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileCorrupt(f"The multiview model's scheduler configuration cannot be used ({error!r}).") from error
    betas = torch.linspace(start ** (1 / power), end ** (1 / power), count, dtype=torch.float32) ** power
    kept = torch.cumprod(1.0 - betas, dim=0)
    return (((1.0 - kept) / kept) ** 0.5).numpy()


def scale_input(noisy: torch.Tensor, sigma: float) -> torch.Tensor:
    """What the network is given for ``noisy`` (signal + ``sigma`` x noise): the same with unit variance."""
    return noisy / math.sqrt(sigma**2 + 1)


def denoised(noisy: torch.Tensor, v: torch.Tensor, sigma: float) -> torch.Tensor:
    """The signal that a prediction of v stands for."""
    return noisy / (sigma**2 + 1) - v * (sigma / math.sqrt(sigma**2 + 1))


def ancestral_step(
    noisy: torch.Tensor, signal: torch.Tensor, sigma: float, next_sigma: float, noise: torch.Tensor
) -> torch.Tensor:
    """From level ``sigma`` to ``next_sigma``: down by Euler to below it, then up again by fresh ``noise``."""
    up = math.sqrt(next_sigma**2 * (sigma**2 - next_sigma**2) / sigma**2)
    down = math.sqrt(next_sigma**2 - up**2)
    slope = (noisy - signal) / sigma
    return noisy + slope * (down - sigma) + noise * up
