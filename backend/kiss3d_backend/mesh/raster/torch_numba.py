"""The rasteriser on the CPU: Numba kernels on the memory of the tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from kiss3d_backend.mesh.raster import kernels
from kiss3d_backend.mesh.raster.cpu import rasterize
from kiss3d_backend.mesh.raster.threads import usable_cores
from kiss3d_backend.mesh.raster.torch_interface import TorchFragments


class NumbaBackEnd:
    """See ``Rasterizer``. Values are float32; a tensor of another dtype is converted, and so is its gradient."""

    def rasterize(self, clip: Tensor, triangles: Tensor, size: tuple[int, int]) -> TorchFragments:
        drawn = rasterize(_array(clip), _array(triangles), size)
        return TorchFragments(
            torch.from_numpy(drawn.triangle), torch.from_numpy(drawn.barycentric), torch.from_numpy(drawn.depth)
        )

    def interpolate(self, attributes: Tensor, fragments: TorchFragments, clip: Tensor, triangles: Tensor) -> Tensor:
        image = _Interpolate.apply(
            attributes.float(), clip.float(), triangles, fragments.triangle, fragments.barycentric
        )
        return image.to(attributes.dtype)

    def antialias(
        self, image: Tensor, fragments: TorchFragments, clip: Tensor, triangles: Tensor, adjacency: Tensor
    ) -> Tensor:
        blended = _Antialias.apply(
            image.float(), clip.float(), triangles, adjacency, fragments.triangle, fragments.depth
        )
        return blended.to(image.dtype)


def _array(tensor: Tensor) -> NDArray[Any]:
    """The tensor's own memory, where it lies in order."""
    return np.ascontiguousarray(tensor.detach().numpy())


def _views(attributes: NDArray[np.float32]) -> NDArray[np.float32]:
    return attributes if attributes.ndim == 3 else attributes[None]


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, attributes: Tensor, clip: Tensor, triangles: Tensor, triangle: Tensor, barycentric: Tensor
    ) -> Tensor:
        ctx.save_for_backward(attributes, clip, triangles, triangle, barycentric)
        out = np.empty((*triangle.shape, attributes.shape[-1]), dtype=np.float32)
        with kernels.threads(usable_cores()):
            kernels.interpolate(
                _views(_array(attributes)), _array(triangles), _array(triangle), _array(barycentric), out
            )
        return torch.from_numpy(out)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        attributes, clip, triangles, triangle, barycentric = ctx.saved_tensors
        wants_attributes, wants_clip = ctx.needs_input_grad[:2]
        views, vertices = clip.shape[:2]
        channels = attributes.shape[-1]
        grad_attributes = np.zeros((views, vertices if wants_attributes else 0, channels), dtype=np.float32)
        grad_clip = np.zeros((views, vertices if wants_clip else 0, 4), dtype=np.float32)
        with kernels.threads(usable_cores()):
            kernels.interpolate_adjoint(
                _views(_array(attributes)),
                _array(clip),
                _array(triangles),
                _array(triangle),
                _array(barycentric),
                _array(grads[0]),
                grad_attributes,
                grad_clip,
            )
        if attributes.ndim == 2:
            grad_attributes = grad_attributes.sum(axis=0)
        return (
            torch.from_numpy(grad_attributes) if wants_attributes else None,
            torch.from_numpy(grad_clip) if wants_clip else None,
            None,
            None,
            None,
        )


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        image: Tensor,
        clip: Tensor,
        triangles: Tensor,
        adjacency: Tensor,
        triangle: Tensor,
        depth: Tensor,
    ) -> Tensor:
        views, height, width, channels = image.shape
        count = np.empty(views, dtype=np.int64)
        # Room for the worst case; what is not touched costs no memory.
        pixels = np.empty((views, 2 * height * width, 2), dtype=np.int32)
        edges = np.empty_like(pixels)
        shares = np.empty(pixels.shape[:2], dtype=np.float64)
        flat = _array(image).reshape(views, height * width, channels)
        out = np.empty_like(flat)
        with kernels.threads(usable_cores()):
            kernels.find_silhouettes(
                _array(clip),
                _array(triangles),
                _array(adjacency),
                _array(triangle),
                _array(depth),
                flat,
                ctx.needs_input_grad[0],
                count,
                pixels,
                edges,
                shares,
            )
            kernels.blend(flat, count, pixels, shares, out)
        most = int(count.max(initial=0))
        ctx.silhouettes = (count, pixels[:, :most].copy(), edges[:, :most].copy(), shares[:, :most].copy())
        ctx.save_for_backward(image, clip)
        return torch.from_numpy(out.reshape(image.shape))

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        image, clip = ctx.saved_tensors
        count, pixels, edges, shares = ctx.silhouettes
        wants_image, wants_clip = ctx.needs_input_grad[:2]
        views, height, width, channels = image.shape
        flat = (views, height * width, channels)
        grad_image = np.zeros(flat if wants_image else (views, 0, channels), dtype=np.float32)
        grad_clip = np.zeros((views, clip.shape[1] if wants_clip else 0, 4), dtype=np.float32)
        with kernels.threads(usable_cores()):
            kernels.blend_adjoint(
                _array(image).reshape(flat),
                _array(clip),
                height,
                width,
                count,
                pixels,
                edges,
                shares,
                _array(grads[0]).reshape(flat),
                grad_image,
                grad_clip,
            )
        return (
            torch.from_numpy(grad_image.reshape(image.shape)) if wants_image else None,
            torch.from_numpy(grad_clip) if wants_clip else None,
            None,
            None,
            None,
            None,
        )
