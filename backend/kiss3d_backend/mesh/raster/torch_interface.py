"""The differentiable rasteriser: one interface over several back ends.

``choose`` gives a ``Rasterizer``; which back end is behind it is in its ``choice``. A render is

    fragments = rasterizer.rasterize(clip, triangles, (512, 512))
    image = rasterizer.interpolate(attributes, fragments, clip, triangles)
    image = rasterizer.antialias(image, fragments, clip, triangles, adjacency)

Rasterising itself has no gradient. ``interpolate`` has one to the attributes and to the clip coordinates; ``antialias``
has one to the image and, along silhouettes, to the clip coordinates (Laine et al., "Modular primitives for
high-performance differentiable rendering", arXiv 2011.03277).
"""

from __future__ import annotations

from typing import Protocol

import attrs
import torch
from torch import Tensor

from kiss3d_backend.mesh.raster.cpu import check


@attrs.frozen(eq=False)
class TorchFragments:
    """``Fragments`` as tensors on the rasteriser's device; see there for shapes and ranges. They have no gradient."""

    triangle: Tensor
    barycentric: Tensor
    depth: Tensor

    @property
    def covered(self) -> Tensor:
        """(N, H, W) bool."""
        return self.triangle >= 0


@attrs.frozen
class Choice:
    """Which back end draws, on which device, and why: for the log, the report and ``kiss3d doctor``."""

    back_end: str
    device: str
    reason: str


class BackEnd(Protocol):
    """What a back end does; the arguments have been checked, and are contiguous. See ``Rasterizer``."""

    def rasterize(self, clip: Tensor, triangles: Tensor, size: tuple[int, int]) -> TorchFragments: ...

    def interpolate(self, attributes: Tensor, fragments: TorchFragments, clip: Tensor, triangles: Tensor) -> Tensor: ...

    def antialias(
        self, image: Tensor, fragments: TorchFragments, clip: Tensor, triangles: Tensor, adjacency: Tensor
    ) -> Tensor: ...


@attrs.frozen(eq=False)
class Rasterizer:
    """Rasterise, interpolate, antialias. All tensors are on one device.

    ``clip`` is (N, V, 4) floating point, ``triangles`` (T, 3) int32 of either orientation, both as in ``rasterize`` on
    arrays. Wrong shapes, dtypes and indices raise ValueError.
    """

    back_end: BackEnd
    choice: Choice

    def rasterize(self, clip: Tensor, triangles: Tensor, size: tuple[int, int]) -> TorchFragments:
        """The nearest triangle at each pixel centre; ``size`` is (H, W)."""
        _check_mesh(clip, triangles)
        check(tuple(clip.shape), tuple(triangles.shape), size)
        if len(triangles):
            least, greatest = torch.aminmax(triangles)
            if int(least) < 0 or int(greatest) >= clip.shape[1]:
                raise ValueError(f"triangles refer to vertices outside 0 to {clip.shape[1] - 1}")
        return self.back_end.rasterize(clip.detach().contiguous(), triangles.contiguous(), size)

    def interpolate(self, attributes: Tensor, fragments: TorchFragments, clip: Tensor, triangles: Tensor) -> Tensor:
        """Attributes at each pixel, (N, H, W, C) in the dtype of ``attributes``; 0 where nothing is.

        ``attributes``: (V, C), or (N, V, C) when they differ between views. ``clip`` and ``triangles`` must be those
        that were rasterised.
        """
        _check_mesh(clip, triangles)
        if attributes.ndim not in (2, 3) or attributes.shape[-2] != clip.shape[1]:
            raise ValueError(f"attributes have the shape {tuple(attributes.shape)}, not (V, C) or (N, V, C)")
        if attributes.ndim == 3 and len(attributes) != len(clip):
            raise ValueError(f"attributes of {len(attributes)} views for {len(clip)}")
        return self.back_end.interpolate(attributes.contiguous(), fragments, clip.contiguous(), triangles.contiguous())

    def antialias(
        self, image: Tensor, fragments: TorchFragments, clip: Tensor, triangles: Tensor, adjacency: Tensor
    ) -> Tensor:
        """The image (N, H, W, C) with pixels blended where a silhouette passes between two of them.

        Of two neighbouring pixels that show different triangles the nearer one is in front. From its centre the surface
        is followed towards the other centre, over at most ``WALK`` triangles, to where it ends or folds back; the pixel
        that this edge cuts is blended by the part beyond its border, as in the paper. The paper looks at the edges of
        the visible triangle only, which misses the silhouette when triangles are smaller than pixels. An edge that is
        closer to a column than to a row blends neighbours in a row, another those in a column: each counts once.

        ``adjacency``: (T, 3) int32; entry k is the triangle across the edge from corner k to corner k + 1 (modulo 3),
        -1 where there is none. Triangles that reach behind the camera are not blended.
        """
        _check_mesh(clip, triangles)
        if image.ndim != 4 or image.shape[:3] != fragments.triangle.shape:
            raise ValueError(f"an image of shape {tuple(image.shape)} for {tuple(fragments.triangle.shape)} fragments")
        if adjacency.shape != triangles.shape or adjacency.dtype != torch.int32:
            raise ValueError(f"adjacency is {adjacency.dtype} of shape {tuple(adjacency.shape)}, not int32 (T, 3)")
        return self.back_end.antialias(
            image.contiguous(), fragments, clip.contiguous(), triangles.contiguous(), adjacency.contiguous()
        )


def _check_mesh(clip: Tensor, triangles: Tensor) -> None:
    if not clip.is_floating_point() or clip.ndim != 3 or clip.shape[-1] != 4:
        raise ValueError(f"clip coordinates are {clip.dtype} of shape {tuple(clip.shape)}, not floats (N, V, 4)")
    if triangles.dtype != torch.int32 or triangles.ndim != 2 or triangles.shape[-1] != 3:
        raise ValueError(f"triangles are {triangles.dtype} of shape {tuple(triangles.shape)}, not int32 (T, 3)")
    if clip.device != triangles.device:
        raise ValueError(f"clip coordinates are on {clip.device}, triangles on {triangles.device}")
