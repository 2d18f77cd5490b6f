"""The rasteriser on CUDA: Warp kernels, compiled at run time, on the memory of the tensors and torch's own stream.

It also runs on the CPU, on one thread, so that it can be tested anywhere.
"""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor
from torch.autograd.function import once_differentiable

from kiss3d_backend.mesh.raster import warp_kernels as kernels
from kiss3d_backend.mesh.raster.torch_interface import TorchFragments


class WarpBackEnd:
    """See ``Rasterizer``. Values are float32; a tensor of another dtype is converted, and so is its gradient.

    On a GPU the sums of gradients are made in no particular order, so their last bits differ from run to run.
    """

    def rasterize(self, clip: Tensor, triangles: Tensor, size: tuple[int, int]) -> TorchFragments:
        clip = clip.float()
        views, shape = len(clip), (len(clip), *size)
        keys = torch.full(shape, 2**63 - 1, dtype=torch.int64, device=clip.device)
        large = torch.empty(max(views * len(triangles), 1), dtype=torch.int64, device=clip.device)
        large_count = torch.zeros(1, dtype=torch.int32, device=clip.device)
        triangle = torch.empty(shape, dtype=torch.int32, device=clip.device)
        barycentric = torch.empty((*shape, 3), dtype=torch.float32, device=clip.device)
        depth = torch.empty(shape, dtype=torch.float32, device=clip.device)
        if len(triangles):
            _launch(kernels.draw, (views, len(triangles)), clip, triangles, keys, large, large_count)
            threads = (kernels.GROUPS, kernels.LANES)
            _launch(kernels.draw_large, threads, clip, triangles, large, large_count, keys)
            _launch(kernels.resolve, shape, clip, triangles, keys, triangle, barycentric, depth)
            return TorchFragments(triangle, barycentric, depth)
        return TorchFragments(triangle.fill_(-1), barycentric.zero_(), depth.fill_(1.0))

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


def _launch(kernel: Any, threads: tuple[int, ...], *arguments: Tensor | bool) -> None:
    device = next(argument.device for argument in arguments if isinstance(argument, Tensor))
    stream = wp.stream_from_torch(torch.cuda.current_stream(device)) if device.type == "cuda" else None
    inputs = [wp.from_torch(value.detach()) if isinstance(value, Tensor) else value for value in arguments]
    wp.launch(kernel, dim=threads, inputs=inputs, device=wp.device_from_torch(device), stream=stream)


def _views(attributes: Tensor) -> Tensor:
    return attributes if attributes.ndim == 3 else attributes[None]


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, attributes: Tensor, clip: Tensor, triangles: Tensor, triangle: Tensor, barycentric: Tensor
    ) -> Tensor:
        ctx.save_for_backward(attributes, clip, triangles, triangle, barycentric)
        out = attributes.new_zeros((*triangle.shape, attributes.shape[-1]))
        if len(triangles):
            values = _views(attributes)
            _launch(kernels.interpolate, tuple(triangle.shape), values, triangles, triangle, barycentric, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        attributes, clip, triangles, triangle, barycentric = ctx.saved_tensors
        wants_attributes, wants_clip = ctx.needs_input_grad[:2]
        grad_attributes = torch.zeros_like(_views(attributes) if wants_attributes else clip[:1, :1])
        grad_clip = torch.zeros_like(clip if wants_clip else clip[:1, :1])
        if len(triangles):
            _launch(
                kernels.interpolate_adjoint,
                tuple(triangle.shape),
                _views(attributes),
                clip,
                triangles,
                triangle,
                barycentric,
                grads[0].contiguous(),
                wants_attributes,
                wants_clip,
                grad_attributes,
                grad_clip,
            )
        return (
            grad_attributes.reshape(attributes.shape) if wants_attributes else None,
            grad_clip if wants_clip else None,
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
        ctx.save_for_backward(image, clip, triangles, adjacency, triangle, depth)
        out = image.clone()
        if len(triangles):
            threads = (*triangle.shape, 2)
            _launch(kernels.antialias, threads, image, clip, triangles, adjacency, triangle, depth, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor | None, ...]:
        image, clip, triangles, adjacency, triangle, depth = ctx.saved_tensors
        wants_image, wants_clip = ctx.needs_input_grad[:2]
        grad = grads[0].contiguous()
        grad_image = grad.clone() if wants_image else grad
        grad_clip = torch.zeros_like(clip if wants_clip else clip[:1, :1])
        if len(triangles):
            _launch(
                kernels.antialias_adjoint,
                (*triangle.shape, 2),
                image,
                clip,
                triangles,
                adjacency,
                triangle,
                depth,
                grad,
                wants_image,
                wants_clip,
                grad_image,
                grad_clip,
            )
        return (
            grad_image if wants_image else None,
            grad_clip if wants_clip else None,
            None,
            None,
            None,
            None,
        )
