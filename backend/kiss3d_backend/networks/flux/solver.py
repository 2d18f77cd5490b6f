"""The path from noise to picture: dx / dsigma = velocity(x, sigma), by Euler's or Heun's method.

Rectified flow (https://arxiv.org/abs/2209.03003): the network's output is the velocity, noise minus picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

Solver = Literal["euler", "heun"]
Velocity = Callable[[torch.Tensor, int], torch.Tensor]
"""The velocity (float32) of a sample at the evaluation of this number, from 0; see :func:`evaluation_sigmas`."""


@attrs.frozen(eq=False)
class Step:
    """One finished step. ``sample``: where it came to. ``estimate``: the picture's latents as they looked before it."""

    number: int
    sample: torch.Tensor
    estimate: torch.Tensor


def evaluation_sigmas(sigmas: NDArray[np.float32], solver: Solver) -> NDArray[np.float32]:
    """The sigma of each evaluation of the network in order: N for Euler with N + 1 ``sigmas``, 2 N - 1 for Heun.

    Heun's second evaluation of a step is at the next sigma, where the next step's first one is too; the last step,
    which ends at 0, has one evaluation.
    """
    levels = sigmas[:-1]
    return levels if solver == "euler" else np.concatenate([levels[:1], np.repeat(levels[1:], 2)])


def solve(velocity: Velocity, sample: torch.Tensor, sigmas: NDArray[np.float32], solver: Solver) -> Iterator[Step]:
    """Steps from ``sigmas[0]`` to ``sigmas[-1]`` = 0, each as it is done; the last one's sample is the result.

    ``sample``: float32. Nothing here waits for the device: the sigmas are numbers of the host.
    """
    evaluation = 0
    for number in range(len(sigmas) - 1):
        here, there = float(sigmas[number]), float(sigmas[number + 1])
        slope = velocity(sample, evaluation)
        evaluation += 1
        estimate = sample - here * slope
        ahead = sample + slope * float(sigmas[number + 1] - sigmas[number])
        if solver == "heun" and there > 0:
            slope_ahead = velocity(ahead, evaluation)
            evaluation += 1
            ahead = sample + 0.5 * (slope + slope_ahead) * float(sigmas[number + 1] - sigmas[number])
        sample = ahead
        yield Step(number, sample, estimate)
