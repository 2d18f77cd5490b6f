"""How far a mesh is from the views."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from kiss3d_backend.mesh.raster.torch_api import Rasterizer, TorchFragments
from kiss3d_backend.mesh.refine.settings import RefineSettings


@attrs.frozen(eq=False)
class Goal:
    """The windows of the views as tensors on one device.

    ``matrices``: (N, 4, 4), world to clip; ``eyes``: (N, 3); ``normals``: (N, S, S, 3), unit or zero; ``masks``:
    (N, S, S); ``weights``: (N,).
    """

    matrices: Tensor
    eyes: Tensor
    normals: Tensor
    masks: Tensor
    weights: Tensor
    known: Tensor = attrs.field(init=False)
    """(N, S, S): how much the normal of each pixel counts; 0 where there is none."""

    def __attrs_post_init__(self) -> None:
        known = self.masks * self.weights[:, None, None] * (self.normals * self.normals).sum(-1)
        object.__setattr__(self, "known", known)

    def clip(self, positions: Tensor) -> Tensor:
        """(N, V, 4) of ``positions`` (V, 3)."""
        return positions @ self.matrices[:, :, :3].transpose(1, 2) + self.matrices[:, None, :, 3]


def loss(
    *,
    goal: Goal,
    rasterizer: Rasterizer,
    settings: RefineSettings,
    positions: Tensor,
    normals: Tensor,
    targets: Tensor | None,
    triangles: Tensor,
    adjacency: Tensor,
    clip: Tensor,
    fragments: TorchFragments,
) -> Tensor:
    """A scalar, in pixels: normals inside the silhouette, silhouettes, and staying inside the box.

    ``positions`` and ``normals``: (V, 3); ``targets``: (V, 3), a target normal for each vertex, zero where no view
    knows, or None: then the views' pixels are the target. ``triangles`` and ``adjacency``: (T, 3) int32. ``clip`` and
    ``fragments``: of ``positions`` in the windows of ``goal``.
    """
    covered = fragments.covered[..., None]
    if targets is None:
        drawn = rasterizer.interpolate(normals, fragments, clip, triangles)
        wanted, sure = goal.normals, goal.known
    else:
        both = rasterizer.interpolate(torch.cat([normals, targets], dim=1), fragments, clip, triangles)
        drawn, wanted = both[..., :3], both[..., 3:].detach()
        sure = goal.masks * goal.weights[:, None, None] * (wanted * wanted).sum(-1)
    difference = drawn - wanted
    of_normals = ((covered * sure[..., None]) * (difference * difference)).sum()

    outline = rasterizer.antialias(covered.to(clip.dtype), fragments, clip, triangles, adjacency)[..., 0]
    missed = (outline - goal.masks) ** 2
    of_silhouettes = (missed * (settings.silhouette + settings.silhouette_inside * goal.masks)).sum()

    outside = torch.relu(positions.abs() - settings.box)
    return of_normals + of_silhouettes + settings.box_weight * goal.masks[0].numel() * (outside * outside).sum()
