"""Gradient descent whose step is measured in edge lengths."""

from __future__ import annotations

import attrs
from torch import Tensor

from kiss3d_backend.mesh.refine.neighbours import Neighbours
from kiss3d_backend.mesh.refine.settings import Stage

MOMENTUM = 0.8
SECOND_MOMENTUM = 0.95
_FLOOR = 0.5
_ROUNDS = 20


@attrs.frozen(eq=False)
class Moments:
    """What the optimiser remembers of each vertex; remeshing carries it along.

    ``first``: (V, 3), the mean gradient. ``second``: (V, 1), the mean squared length of the gradient.
    """

    first: Tensor
    second: Tensor


def stepped(
    positions: Tensor,
    gradient: Tensor,
    moments: Moments,
    *,
    neighbours: Neighbours,
    smoothing: Tensor,
    edge_lengths: Tensor,
    normals: Tensor,
    stage: Stage,
    step: int,
) -> tuple[Tensor, Moments]:
    """New positions (V, 3) and moments after step number ``step`` (from 0) of ``stage``.

    The gradient is first smoothed over the mesh: that of a loss on normals is rough, as it is a derivative, and
    following it as it is crumples the surface (Nicolet et al. 2021, "Large steps in inverse rendering of geometry").
    Then Adam with one second moment per vertex, so that the direction of its gradient is kept, and a step of
    ``learning_rate`` times the vertex's ``edge_lengths`` (V,): large steps on a coarse mesh, fine ones on a fine mesh
    (Palfinger 2022). Gradients that are small beside the mesh's mean do not get full steps. Last, each vertex goes the
    part ``smoothing`` (V,) of the way to its ``neighbours``' mean.
    """
    gradient = neighbours.smoothed(gradient, stage.reach, _ROUNDS)
    first = MOMENTUM * moments.first + (1 - MOMENTUM) * gradient
    squared = (gradient * gradient).sum(dim=1, keepdim=True)
    second = SECOND_MOMENTUM * moments.second + (1 - SECOND_MOMENTUM) * squared
    unbiased_first = first / (1 - MOMENTUM ** (step + 1))
    unbiased_second = second / (1 - SECOND_MOMENTUM ** (step + 1))
    floor = _FLOOR * unbiased_second.mean().sqrt()
    velocity = unbiased_first / (unbiased_second.sqrt() + floor).clamp(min=1e-20)
    rate = stage.learning_rate * stage.decay**step * min(1.0, (step + 1) / max(stage.ramp, 1))
    if stage.expansion > 0:
        velocity = velocity - stage.expansion * (1 - step / stage.steps) * normals
    moved = positions - rate * edge_lengths[:, None] * velocity
    moved = moved + smoothing[:, None] * (neighbours.means(moved) - moved)
    return moved, Moments(first, second)
