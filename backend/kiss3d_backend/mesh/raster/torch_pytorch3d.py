"""The rasteriser through a pytorch3d that the user built; the gradients are those of plain torch.

It has no wheels for most systems, so nothing needs it. What it does differently: it leaves out triangles below about
a fortieth of a pixel (at 512 pixels), and this adapter leaves out those that reach behind the camera or out of the
range of depth, since pytorch3d cannot cut them in clip space. Its depth test is in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from pytorch3d.renderer.mesh.rasterize_meshes import rasterize_meshes  # pyright: ignore[reportMissingImports]
from pytorch3d.structures import Meshes  # pyright: ignore[reportMissingImports]
from torch import Tensor

from kiss3d_backend.mesh.raster.torch_interface import TorchFragments
from kiss3d_backend.mesh.raster.torch_oracle import TorchBackEnd, with_coordinates


class Pytorch3dBackEnd(TorchBackEnd):
    """See ``Rasterizer``."""

    def rasterize(self, clip: Tensor, triangles: Tensor, size: tuple[int, int]) -> TorchFragments:
        height, width = size
        if not len(triangles):
            return super().rasterize(clip, triangles, size)
        clip = clip.float()
        w = clip[..., 3:]
        visible = torch.isfinite(clip).all(dim=-1) & (w[..., 0] > 0) & (clip[..., 2].abs() <= w[..., 0])
        # Its x runs to the left; the shorter side of the picture is 2 long; a depth below 0 is not drawn.
        shorter = min(size)
        scale = clip.new_tensor([-width / shorter, height / shorter, 1.0])
        offset = clip.new_tensor([0.0, 0.0, 2.0])
        positions = torch.where(visible[..., None], clip[..., :3] / w * scale + offset, 0.0)
        # A triangle of one vertex has no area, and is not drawn.
        whole = visible[:, triangles.long()].all(dim=-1, keepdim=True)
        faces = torch.where(whole, triangles.long(), 0)
        meshes: Any = Meshes(verts=list(positions), faces=list(faces))
        found: Tensor = rasterize_meshes(
            meshes, image_size=size, blur_radius=0.0, faces_per_pixel=1, perspective_correct=False
        )[0][..., 0]
        first = torch.arange(len(clip), device=clip.device)[:, None, None] * len(triangles)
        triangle = torch.where(found < 0, -1, found - first).to(torch.int32)
        return with_coordinates(triangle, clip, triangles)
