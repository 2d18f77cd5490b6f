"""The rasteriser in plain torch: the oracle of the others, and for devices that have no back end of their own.

Gradients are autograd's. It computes in float64, where the device has it; see ``kernels`` for the geometry.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kiss3d_backend.mesh.raster.fragments import DEPTH_STEPS, WALK
from kiss3d_backend.mesh.raster.torch_interface import TorchFragments

_FRAGMENTS_AT_ONCE = 4_000_000
_NOTHING = 2**63 - 1


class TorchBackEnd:
    """See ``Rasterizer``."""

    def rasterize(self, clip: Tensor, triangles: Tensor, size: tuple[int, int]) -> TorchFragments:
        keys = torch.stack([_draw(view, triangles, size) for view in _precise(clip)])
        return with_coordinates(torch.where(keys == _NOTHING, -1, keys & 0xFFFFFFFF).to(torch.int32), clip, triangles)

    def interpolate(self, attributes: Tensor, fragments: TorchFragments, clip: Tensor, triangles: Tensor) -> Tensor:
        _, height, width = fragments.triangle.shape
        view, row, column = torch.nonzero(fragments.triangle >= 0, as_tuple=True)
        index = fragments.triangle[view, row, column]
        weights = _barycentric(_corners(_precise(clip), triangles, view, index), column, row, (height, width))
        vertices = triangles[index].long()
        values = attributes[vertices] if attributes.ndim == 2 else attributes[view[:, None], vertices]
        pixels = (weights[..., None] * values).sum(dim=1).to(attributes.dtype)
        image = attributes.new_zeros((*fragments.triangle.shape, attributes.shape[-1]))
        return image.index_put((view, row, column), pixels)

    def antialias(
        self, image: Tensor, fragments: TorchFragments, clip: Tensor, triangles: Tensor, adjacency: Tensor
    ) -> Tensor:
        views, height, width = fragments.triangle.shape
        clip = _precise(clip)
        pixels = image.reshape(views * height * width, -1)
        out = pixels
        for step in ((0, 1), (1, 0)):
            near, far, direction = _pairs(fragments, step)
            view, row, column = _split(near, height, width)
            a, b, found = _silhouettes(
                clip.detach(),
                triangles,
                adjacency,
                view,
                _point(column, row, height, width, clip.dtype),
                direction,
                fragments.triangle.flatten()[near],
                fragments.triangle.flatten()[far],
            )
            line = torch.linalg.cross(_plane(clip.detach(), view, a), _plane(clip.detach(), view, b))
            steep = line[:, 0].abs() / width >= line[:, 1].abs() / height
            found &= steep if step == (0, 1) else ~steep
            near, far, view, direction = near[found], far[found], view[found], direction[found]
            point = _point(column[found], row[found], height, width, clip.dtype)
            share = _crossing(_plane(clip, view, a[found]), _plane(clip, view, b[found]), point, direction) - 0.5
            change = (share[:, None] * (pixels[near] - pixels[far])).to(image.dtype)
            out = out.index_add(0, torch.where(share > 0, far, near), change)
        return out.reshape(image.shape)


def with_coordinates(triangle: Tensor, clip: Tensor, triangles: Tensor) -> TorchFragments:
    """Fragments of which only the triangles (N, H, W) int32 are known."""
    clip = _precise(clip)
    _, height, width = triangle.shape
    barycentric = clip.new_zeros((*triangle.shape, 3), dtype=torch.float32)
    depth = clip.new_ones(triangle.shape, dtype=torch.float32)
    view, row, column = torch.nonzero(triangle >= 0, as_tuple=True)
    corners = _corners(clip, triangles, view, triangle[view, row, column])
    weights = _barycentric(corners, column, row, (height, width))
    z, w = (weights[..., None] * corners[..., 2:]).sum(dim=1).unbind(-1)
    barycentric[view, row, column] = weights.to(torch.float32)
    depth[view, row, column] = (z / w).to(torch.float32)
    return TorchFragments(triangle, barycentric, depth)


def _precise(values: Tensor) -> Tensor:
    return values if values.device.type == "mps" else values.double()


def _draw(clip: Tensor, triangles: Tensor, size: tuple[int, int]) -> Tensor:
    """The least of depth << 32 | triangle at each pixel (H, W) int64, of one view (V, 4)."""
    height, width = size
    keys = torch.full((height * width,), _NOTHING, dtype=torch.int64, device=clip.device)
    if not len(triangles):
        return keys.reshape(size)
    corners = clip[triangles.long()]
    w = corners[..., 3]
    column = (corners[..., 0] / w + 1) * (width / 2) - 0.5
    row = (1 - corners[..., 1] / w) * (height / 2) - 0.5
    ahead = (w > 0).all(dim=1) & torch.isfinite(row).all(dim=1) & torch.isfinite(column).all(dim=1)
    # Those that reach behind the camera are tried at every pixel.
    begin, end = _span(column, ahead, width)
    top, bottom = _span(row, ahead, height)
    drawn = torch.isfinite(corners).flatten(1).all(dim=1) & (w > 0).any(dim=1)
    count = torch.where(drawn, (end - begin) * (bottom - top), 0)
    for chosen in _chunks(count):
        owner = torch.repeat_interleave(chosen, count[chosen])
        first = torch.repeat_interleave(torch.cumsum(count[chosen], 0) - count[chosen], count[chosen])
        offset = torch.arange(len(owner), device=clip.device) - first
        columns = offset % (end - begin)[owner] + begin[owner]
        rows = offset // (end - begin)[owner] + top[owner]
        s = _coordinates(corners[owner], columns, rows, size)
        inside = ((s >= 0).all(dim=1) | (s <= 0).all(dim=1)) & (s.sum(dim=1) != 0)
        owner, s, pixel = owner[inside], s[inside], (rows * width + columns)[inside]
        total = s.sum(dim=1)
        depth_w = (s * corners[owner, :, 3]).sum(dim=1)
        depth = (s * corners[owner, :, 2]).sum(dim=1) / depth_w
        seen = ((depth_w > 0) == (total > 0)) & (depth.abs() <= 1)
        steps = ((depth[seen] + 1) * DEPTH_STEPS).long().clamp(max=2 * DEPTH_STEPS - 1)
        keys.scatter_reduce_(0, pixel[seen], (steps << 32) | owner[seen], "amin")
    return keys.reshape(size)


def _span(position: Tensor, ahead: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """First pixel and the one after the last that triangles with corners at ``position`` (T, 3) may cover."""
    low = (position.amin(dim=1).clamp(-1, count) - 0.01).ceil().clamp(0, count)
    high = (position.amax(dim=1).clamp(-1, count) + 0.01).floor().clamp(-1, count - 1) + 1
    return torch.where(ahead, low, 0).long(), torch.where(ahead, torch.maximum(high, low), count).long()


def _chunks(count: Tensor) -> list[Tensor]:
    """Indices with a positive count, in groups that add up to a bounded number of fragments where they can."""
    drawn = torch.nonzero(count > 0).squeeze(1)
    group = (torch.cumsum(count[drawn], 0) - 1) // _FRAGMENTS_AT_ONCE
    return list(torch.split(drawn, torch.unique_consecutive(group, return_counts=True)[1].tolist()))


def _coordinates(corners: Tensor, column: Tensor, row: Tensor, size: tuple[int, int]) -> Tensor:
    """s (P, 3) of pixels in triangles with these corners (P, 3, 4)."""
    height, width = size
    x, y, w = corners[..., 0], corners[..., 1], corners[..., 3]
    j, k = [1, 2, 0], [2, 0, 1]
    line_x = (y[:, j] * w[:, k] - w[:, j] * y[:, k]) / width
    line_y = (w[:, j] * x[:, k] - x[:, j] * w[:, k]) / height
    line_w = x[:, j] * y[:, k] - y[:, j] * x[:, k]
    across = (2 * column + 1 - width)[:, None].to(x.dtype)
    up = (height - 1 - 2 * row)[:, None].to(x.dtype)
    return line_x * across + (line_y * up + line_w)


def _barycentric(corners: Tensor, column: Tensor, row: Tensor, size: tuple[int, int]) -> Tensor:
    s = _coordinates(corners, column, row, size)
    return s / s.sum(dim=1, keepdim=True)


def _corners(clip: Tensor, triangles: Tensor, view: Tensor, triangle: Tensor) -> Tensor:
    return clip[view[:, None], triangles[triangle].long()]


def _split(pixel: Tensor, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    return pixel // (height * width), pixel // width % height, pixel % width


def _point(column: Tensor, row: Tensor, height: int, width: int, dtype: torch.dtype) -> Tensor:
    """Pixel centres (P, 3) as (x, y, 1)."""
    x = (2 * column + 1).to(dtype) / width - 1
    y = 1 - (2 * row + 1).to(dtype) / height
    return torch.stack([x, y, torch.ones_like(x)], dim=1)


def _plane(clip: Tensor, view: Tensor, vertex: Tensor) -> Tensor:
    """(x, y, w) of vertices (P,)."""
    return clip[view, vertex.long()][:, [0, 1, 3]]


def _pairs(fragments: TorchFragments, step: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Flat indices of the nearer and the farther of neighbours that show different triangles, and the way (P, 3)
    from the one centre to the other."""
    triangle, depth = fragments.triangle, fragments.depth
    _, height, width = triangle.shape
    index = torch.arange(triangle.numel(), device=triangle.device).reshape(triangle.shape)
    here = (slice(None), slice(0, height - step[0]), slice(0, width - step[1]))
    there = (slice(None), slice(step[0], None), slice(step[1], None))
    differ = triangle[here] != triangle[there]
    first, second = index[here][differ], index[there][differ]
    # The empty pixel is behind whatever its depth.
    empty_first, empty_second = (triangle.flatten()[side] < 0 for side in (first, second))
    swap = empty_first | (~empty_second & (depth.flatten()[second] < depth.flatten()[first]))
    sign = torch.where(swap, -1.0, 1.0).to(torch.float32 if depth.device.type == "mps" else torch.float64)
    way = torch.stack([sign * (2 * step[1] / width), sign * (-2 * step[0] / height), torch.zeros_like(sign)], dim=1)
    return torch.where(swap, second, first), torch.where(swap, first, second), way


def _crossing(a: Tensor, b: Tensor, point: Tensor, way: Tensor) -> Tensor:
    """Where the line through a and b (P, 3) cuts the way from a pixel's centre: 0 there, 1 at the other."""
    line = torch.linalg.cross(a, b)
    return -(line * point).sum(dim=1) / (line * way).sum(dim=1)


def _silhouettes(
    clip: Tensor,
    triangles: Tensor,
    adjacency: Tensor,
    view: Tensor,
    point: Tensor,
    way: Tensor,
    near: Tensor,
    far: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The edge (a, b) at which the surface ends on its way to the other pixel, and whether there is one (P,)."""
    rows = torch.arange(len(near), device=near.device)
    ends_a, ends_b = torch.zeros_like(near), torch.zeros_like(near)
    found = torch.zeros_like(near, dtype=torch.bool)
    scan = torch.linalg.cross(point, way)

    corners = triangles[near]
    planes = clip[view[:, None], corners.long()][..., [0, 1, 3]]
    sides = (scan[:, None] * planes).sum(dim=2) >= 0
    following = planes[:, [1, 2, 0]]
    at = _crossing(planes.flatten(0, 1), following.flatten(0, 1), *(_thrice(value) for value in (point, way)))
    at = torch.where(sides != sides[:, [1, 2, 0]], at.reshape(-1, 3), -torch.inf)
    share, edge = at.max(dim=1)
    walking = (planes[..., 2] > 0).all(dim=1) & torch.isfinite(share)
    a, b, c = (corners[rows, (edge + k) % 3] for k in range(3))
    current = near
    for _ in range(WALK):
        walking &= share <= 1
        state = (rows, view, point, way, scan, far, current, edge, a, b, c, share)
        rows, view, point, way, scan, far, current, edge, a, b, c, share = (value[walking] for value in state)
        if not len(rows):
            break
        across = adjacency[current, edge]
        stops = (across < 0) | (across >= len(triangles))
        current = torch.where(stops, current, across)
        others = triangles[current]
        is_new = (others != a[:, None]) & (others != b[:, None])
        each = torch.arange(len(rows), device=near.device)
        new = others[each, torch.argmax(is_new.to(torch.int8), dim=1)]
        plane_a, plane_b, plane_c, plane_new = (_plane(clip, view, vertex) for vertex in (a, b, c, new))
        line = torch.linalg.cross(plane_a, plane_b)
        goes_on = is_new.any(dim=1) & (plane_new[:, 2] > 0)
        same_side = (line * plane_c).sum(dim=1) * (line * plane_new).sum(dim=1) > 0
        folds = stops | (goes_on & same_side)
        at_end = folds & (share >= 0)
        ends_a[rows[at_end]], ends_b[rows[at_end]] = a[at_end], b[at_end]
        found[rows[at_end]] = True
        walking = ~folds & goes_on & (current != far)
        to_a = ((scan * plane_new).sum(dim=1) >= 0) == ((scan * plane_a).sum(dim=1) >= 0)
        a, b, c = torch.where(to_a, new, a), torch.where(to_a, b, new), torch.where(to_a, a, b)
        share = _crossing(_plane(clip, view, a), _plane(clip, view, b), point, way)
        first = torch.argmax(((others == a[:, None]) | (others == b[:, None])).to(torch.int8), dim=1)
        after = others[each, (first + 1) % 3]
        edge = torch.where((after == a) | (after == b), first, (first + 2) % 3)
    return ends_a, ends_b, found


def _thrice(values: Tensor) -> Tensor:
    return values.repeat_interleave(3, dim=0)
