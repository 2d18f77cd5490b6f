"""Explicit targets: the normal that each vertex should have, gathered from the views that see it.

Where two views disagree about a place, a loss per picture pulls it both ways; a target per vertex is one answer
(arXiv 2405.20343, "explicit target").
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from kiss3d_backend.mesh.raster.torch_api import TorchFragments

_LEAST_COSINE = 0.05


def explicit_targets(
    *,
    matrices: Tensor,
    clip: Tensor,
    normals: Tensor,
    eyes: Tensor,
    positions: Tensor,
    fragments: TorchFragments,
    view_normals: Tensor,
    view_masks: Tensor,
    view_weights: Tensor,
    thickness: float,
) -> tuple[Tensor, Tensor]:
    """The target normals (V, 3), unit or zero, and how sure they are, (V,) in [0, 1].

    ``matrices``: (N, 4, 4), world to clip; ``clip``: (N, V, 4) of the ``positions`` (V, 3), with their ``normals``
    (V, 3); ``eyes``: (N, 3); ``fragments``: of the same mesh in views of S x S pixels; ``view_normals``: (N, S, S, 3),
    ``view_masks``: (N, S, S), ``view_weights``: (N,). A vertex is seen when nothing is drawn nearer than it by more
    than ``thickness`` in world units. Views count by their weight, the cosine at which they see the
    vertex, and their mask.
    """
    ndc = clip[..., :2] / clip[..., 3:]
    grid = torch.stack([ndc[..., 0], -ndc[..., 1]], dim=-1)[:, None]
    drawn = _distance(fragments, matrices)
    nearest = grid_sample(drawn[:, None], grid, mode="nearest", padding_mode="border", align_corners=False)[:, 0, 0]
    seen = clip[..., 3] <= nearest + thickness
    picture = torch.cat([view_normals * view_masks[..., None], view_masks[..., None]], dim=-1).permute(0, 3, 1, 2)
    sampled = grid_sample(picture, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, :, 0]
    inside = sampled[:, 3]
    towards = normalize(eyes[:, None] - positions[None], dim=-1)
    cosine = (towards * normals).sum(-1)
    weight = (cosine > _LEAST_COSINE) * seen * inside * cosine * view_weights[:, None]
    direction = normalize(sampled[:, :3].permute(0, 2, 1), dim=-1, eps=1e-6)
    total = (weight[..., None] * direction).sum(0)
    return normalize(total, dim=-1, eps=1e-6), total.norm(dim=-1).clamp(max=1.0)


def _distance(fragments: TorchFragments, matrices: Tensor) -> Tensor:
    """(N, S, S): w of what is drawn, the distance along the view's axis; infinite where nothing is.

    Of a perspective, z is ``slope`` w + ``shift``, so the depth z / w gives w back.
    """
    z, w = matrices[:, 2], matrices[:, 3]
    slope = (z[:, :3] * w[:, :3]).sum(-1) / (w[:, :3] ** 2).sum(-1)
    shift = z[:, 3] - slope * w[:, 3]
    distance = shift[:, None, None] / (fragments.depth - slope[:, None, None])
    return torch.where(fragments.covered, distance, torch.inf)
