"""Whether a back end works on a device: one triangle is drawn and compared with the picture that is known."""

from __future__ import annotations

import torch

from kiss3d_backend.mesh.raster.torch_interface import BackEnd, TorchFragments

_SIDE = 8


def failure(back_end: BackEnd, device: torch.device) -> str | None:
    """What is wrong with a back end, after its name; None when it draws, interpolates and blends as it should.

    A library that can be imported may still be built without support for the device, or meet a driver that is too old;
    that shows when it is used, so all of it is used, gradients too.
    """
    try:
        return _difference(back_end, device)
    except Exception as error:  # whatever a library, a compiler or a driver may raise
        text = " ".join(str(error).split())
        return f"failed its test ({type(error).__name__}: {text[:200]})"


def _difference(back_end: BackEnd, device: torch.device) -> str | None:
    """A right triangle with its legs on the left and the lower border of the picture; its right corner is twice as far
    away."""
    corners = [[-1.0, -1.0, 0.0, 1.0], [2.0, -2.0, -1.0, 2.0], [-1.0, 1.0, 0.0, 1.0]]
    clip = torch.tensor([corners], device=device, requires_grad=True)
    triangles = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    adjacency = torch.full_like(triangles, -1)
    attributes = torch.tensor([[1.0], [2.0], [3.0]], device=device, requires_grad=True)

    fragments = back_end.rasterize(clip.detach(), triangles, (_SIDE, _SIDE))
    expected = _expected()
    if not torch.equal(fragments.triangle.cpu(), expected.triangle):
        return "failed its test: it covers other pixels than the triangle does"
    if not torch.allclose(fragments.barycentric.cpu(), expected.barycentric, atol=1e-5):
        return "failed its test: its barycentric coordinates are wrong"
    if not torch.allclose(fragments.depth.cpu(), expected.depth, atol=1e-5):
        return "failed its test: its depth is wrong"

    image = back_end.interpolate(attributes, fragments, clip, triangles)
    known = expected.barycentric @ torch.tensor([[1.0], [2.0], [3.0]])
    if not torch.allclose(image.detach().cpu(), known, atol=1e-5):
        return "failed its test: it interpolates wrongly"
    back_end.antialias(image, fragments, clip, triangles, adjacency).sum().backward()
    for tensor in (attributes, clip):
        if tensor.grad is None or not bool(torch.isfinite(tensor.grad).all()) or not bool(tensor.grad.any()):
            return "failed its test: its gradients are missing or not finite"
    return None


def _expected() -> TorchFragments:
    """By hand: in the picture the coordinates of the triangle are linear, and weighted by 1 / w they are true to
    perspective."""
    centre = (torch.arange(_SIDE) + 0.5) / _SIDE
    right, down = torch.meshgrid(centre, centre, indexing="xy")
    # Corners, in the picture: lower left, lower right (twice as far away), upper left.
    flat = torch.stack([down - right, right, 1.0 - down], dim=-1)
    covered = flat[..., 0] >= 0
    weights = flat / torch.tensor([1.0, 2.0, 1.0])
    weights = weights / weights.sum(dim=-1, keepdim=True) * covered[..., None]
    depth = torch.where(covered, flat[..., 1] * -0.5, 1.0)
    triangle = torch.where(covered, 0, -1).to(torch.int32)
    return TorchFragments(triangle[None], weights[None], depth[None])
