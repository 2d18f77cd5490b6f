"""Numba kernels: draw, interpolate, antialias, and their adjoints.

Corners of a triangle are used as the homogeneous points (x, y, w) of the image plane. With e_i the cross product of the
two corners other than i, and p = (x, y, 1) a pixel's centre, s_i = e_i . p is the barycentric coordinate of corner i up
to a factor that the three share, already perspective-correct. An edge's s in one triangle is exactly minus that in its
neighbour, so no pixel falls between the two.

Each parallel loop writes to memory that no other iteration touches, so results are the same on any number of threads.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
from numba import prange
from numba.core import config

from kiss3d_backend.mesh.raster.fragments import DEPTH_STEPS, WALK

_NOTHING = np.int64(2**63 - 1)
_SLACK = np.float32(0.01)
_TINY = 1e-12
_LOW_BITS = np.int64(0xFFFFFFFF)
_HIGHEST = np.int64(2 * DEPTH_STEPS - 1)

# Numba's fallback threading layer ends the process when two threads enter a parallel loop at once.
_one_at_a_time = threading.Lock()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Runs parallel loops on ``count`` threads, or as many as Numba has; one user at a time."""
    with _one_at_a_time:
        before = numba.get_num_threads()
        numba.set_num_threads(max(1, min(count, config.NUMBA_NUM_THREADS)))  # pyright: ignore[reportAttributeAccessIssue]
        try:
            yield
        finally:
            numba.set_num_threads(before)


def _compiled(*, parallel: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compiles at the first call and keeps the result on disk, where there is a place for it."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        # Divisions by zero give inf and NaN, as everywhere else.
        options = {"nogil": True, "error_model": "numpy", "parallel": parallel}
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # neither the package's folder nor the user's cache can be written
            return numba.njit(**options)(function)

    return decorate


@_compiled(parallel=True)
def project(clip, height, width, screen):
    """Column and row (N, V, 2) of each vertex, NaN for those that are not in front of the camera."""
    views, vertices = clip.shape[:2]
    for item in prange(views * vertices):
        view, vertex = divmod(np.int64(item), vertices)
        w = np.float64(clip[view, vertex, 3])
        if w > _TINY:
            screen[view, vertex, 0] = (clip[view, vertex, 0] / w + 1.0) * 0.5 * width - 0.5
            screen[view, vertex, 1] = (1.0 - clip[view, vertex, 1] / w) * 0.5 * height - 0.5
        else:
            screen[view, vertex, 0] = np.nan
            screen[view, vertex, 1] = np.nan


@_compiled(parallel=True)
def draw(clip, triangles, screen, keys, bands):
    """The least of depth << 32 | triangle at each pixel (N, H, W) int64."""
    views, height, _ = keys.shape
    for item in prange(views * bands):
        view, band = divmod(np.int64(item), bands)
        first = band * height // bands
        last = (band + 1) * height // bands
        keys[view, first:last] = _NOTHING
        _draw_band(clip[view], triangles, screen[view], keys[view], first, last)


@_compiled()
def _draw_band(clip, triangles, screen, keys, first, last):
    height, width = keys.shape
    for triangle in range(len(triangles)):
        i, j, k = triangles[triangle, 0], triangles[triangle, 1], triangles[triangle, 2]
        low, high = _range(screen[i, 1], screen[j, 1], screen[k, 1])
        left, right = _range(screen[i, 0], screen[j, 0], screen[k, 0])
        if low != low or left != left:
            left, right, low, high = _bounds_in_front(clip, i, j, k, height, width)
        if not (high >= first - _SLACK and low <= last and right >= -_SLACK and left <= width):
            continue
        top = max(first, math.ceil(max(low, np.float32(-1.0)) - _SLACK))
        bottom = min(last - 1, math.floor(min(high, np.float32(height)) + _SLACK))
        begin = max(0, math.ceil(max(left, np.float32(-1.0)) - _SLACK))
        end = min(width - 1, math.floor(min(right, np.float32(width)) + _SLACK))
        if top > bottom or begin > end:
            continue
        a, b, c = _lines(clip, i, j, k, height, width)
        w0, w1, w2 = np.float64(clip[i, 3]), np.float64(clip[j, 3]), np.float64(clip[k, 3])
        z0, z1, z2 = np.float64(clip[i, 2]), np.float64(clip[j, 2]), np.float64(clip[k, 2])
        for row in range(top, bottom + 1):
            y = np.float64(height - 1 - 2 * row)
            a_row = a[1] * y + a[2]
            b_row = b[1] * y + b[2]
            c_row = c[1] * y + c[2]
            for column in range(begin, end + 1):
                x = np.float64(2 * column + 1 - width)
                s0 = a[0] * x + a_row
                s1 = b[0] * x + b_row
                s2 = c[0] * x + c_row
                if not ((s0 >= 0.0 and s1 >= 0.0 and s2 >= 0.0) or (s0 <= 0.0 and s1 <= 0.0 and s2 <= 0.0)):
                    continue
                total = s0 + s1 + s2
                depth = _depth(s0, s1, s2, z0, z1, z2, w0, w1, w2)
                if not (total != 0.0 and abs(depth) <= 1.0):
                    continue
                step = min(np.int64((depth + 1.0) * DEPTH_STEPS), _HIGHEST)
                key = (step << np.int64(32)) | np.int64(triangle)
                if key < keys[row, column]:
                    keys[row, column] = key


@_compiled()
def _range(a, b, c):
    """Least and greatest of three; NaN when one of them is."""
    if a != a or b != b or c != c:
        return np.float32(np.nan), np.float32(np.nan)
    return min(a, b, c), max(a, b, c)


@_compiled()
def _depth(s0, s1, s2, z0, z1, z2, w0, w1, w2):
    """z / w at the point with these coordinates; NaN behind the camera."""
    w = s0 * w0 + s1 * w1 + s2 * w2
    if (w > 0.0) != (s0 + s1 + s2 > 0.0):
        return np.nan
    return (s0 * z0 + s1 * z1 + s2 * z2) / w


@_compiled()
def _bounds_in_front(clip, i, j, k, height, width):
    """Columns and rows of the part of a triangle with w above nearly nothing; an empty range if there is none."""
    left, right, low, high = np.float32(np.inf), np.float32(-np.inf), np.float32(np.inf), np.float32(-np.inf)
    nearest = 1e-9 * max(abs(clip[i, 3]), abs(clip[j, 3]), abs(clip[k, 3]))
    if not nearest > 0.0:
        return left, right, low, high
    corners = (i, j, k)
    for corner in range(3):
        a, b = corners[corner], corners[(corner + 1) % 3]
        aw, bw = np.float64(clip[a, 3]), np.float64(clip[b, 3])
        for end in range(2):
            if end == 0:
                if not aw >= nearest:
                    continue
                x, y, w = np.float64(clip[a, 0]), np.float64(clip[a, 1]), aw
            else:
                if (aw >= nearest) == (bw >= nearest):
                    continue
                t = (nearest - aw) / (bw - aw)
                x = clip[a, 0] + t * (np.float64(clip[b, 0]) - clip[a, 0])
                y = clip[a, 1] + t * (np.float64(clip[b, 1]) - clip[a, 1])
                w = nearest
            column = np.float32(min(max((x / w + 1.0) * 0.5 * width - 0.5, -1e9), 1e9))
            row = np.float32(min(max((1.0 - y / w) * 0.5 * height - 0.5, -1e9), 1e9))
            left, right = min(left, column), max(right, column)
            low, high = min(low, row), max(high, row)
    return left, right, low, high


@_compiled()
def _lines(clip, i, j, k, height, width):
    """The three e of a triangle, for p = (2 column + 1 - W, H - 1 - 2 row, 1)."""
    return (
        _line(clip, j, k, height, width),
        _line(clip, k, i, height, width),
        _line(clip, i, j, height, width),
    )


@_compiled()
def _line(clip, i, j, height, width):
    """The cross product of (x, y, w) of two corners, in units of half a pixel."""
    x0, y0, w0 = np.float64(clip[i, 0]), np.float64(clip[i, 1]), np.float64(clip[i, 3])
    x1, y1, w1 = np.float64(clip[j, 0]), np.float64(clip[j, 1]), np.float64(clip[j, 3])
    return (y0 * w1 - w0 * y1) / width, (w0 * x1 - x0 * w1) / height, x0 * y1 - y0 * x1


@_compiled(parallel=True)
def resolve(clip, triangles, keys, triangle, barycentric, depth):
    """From keys (N, H, W) to the arrays of ``Fragments``."""
    views, height, width = keys.shape
    for item in prange(views * height):
        view, row = divmod(np.int64(item), height)
        y = np.float64(height - 1 - 2 * row)
        seen = clip[view]
        for column in range(width):
            key = keys[view, row, column]
            if key == _NOTHING:
                triangle[view, row, column] = -1
                barycentric[view, row, column, 0] = 0.0
                barycentric[view, row, column, 1] = 0.0
                barycentric[view, row, column, 2] = 0.0
                depth[view, row, column] = 1.0
                continue
            index = key & _LOW_BITS
            i, j, k = triangles[index, 0], triangles[index, 1], triangles[index, 2]
            a, b, c = _lines(seen, i, j, k, height, width)
            x = np.float64(2 * column + 1 - width)
            s0 = a[0] * x + (a[1] * y + a[2])
            s1 = b[0] * x + (b[1] * y + b[2])
            s2 = c[0] * x + (c[1] * y + c[2])
            total = s0 + s1 + s2
            triangle[view, row, column] = index
            barycentric[view, row, column, 0] = s0 / total
            barycentric[view, row, column, 1] = s1 / total
            barycentric[view, row, column, 2] = s2 / total
            z0, z1, z2 = np.float64(seen[i, 2]), np.float64(seen[j, 2]), np.float64(seen[k, 2])
            w0, w1, w2 = np.float64(seen[i, 3]), np.float64(seen[j, 3]), np.float64(seen[k, 3])
            depth[view, row, column] = _depth(s0, s1, s2, z0, z1, z2, w0, w1, w2)


@_compiled(parallel=True)
def interpolate(attributes, triangles, triangle, barycentric, out):
    """``attributes`` (1 or N, V, C) at the pixels of ``out`` (N, H, W, C)."""
    views, height, width, channels = out.shape
    for item in prange(views * height):
        view, row = divmod(np.int64(item), height)
        values = attributes[view if len(attributes) > 1 else 0]
        for column in range(width):
            index = triangle[view, row, column]
            if index < 0:
                for channel in range(channels):
                    out[view, row, column, channel] = 0.0
                continue
            i, j, k = triangles[index, 0], triangles[index, 1], triangles[index, 2]
            s0 = barycentric[view, row, column, 0]
            s1 = barycentric[view, row, column, 1]
            s2 = barycentric[view, row, column, 2]
            for channel in range(channels):
                out[view, row, column, channel] = (
                    s0 * values[i, channel] + s1 * values[j, channel] + s2 * values[k, channel]
                )


@_compiled(parallel=True)
def interpolate_adjoint(attributes, clip, triangles, triangle, barycentric, grad, grad_attributes, grad_clip):
    """Adds to ``grad_attributes`` (N, V, C) and ``grad_clip`` (N, V, 4); either may have no vertices, and is left out.

    The coordinates l of a pixel change with corner j by dl_i = -l_j (e_i - l_i (e_0 + e_1 + e_2)) . dv_j / det, which
    gives corner j the gradient -l_j sum_i e_i (h_i - h) / det with h_i = grad . attribute_i and h = sum_i l_i h_i.
    """
    views, height, width, channels = grad.shape
    for item in prange(views):
        view = np.int64(item)
        values = attributes[view if len(attributes) > 1 else 0]
        # Views of arrays are taken outside the loop over pixels: each one counts a reference.
        seen, shares, given = clip[view], barycentric[view], grad[view]
        of_attributes, of_clip = grad_attributes[view], grad_clip[view]
        for row in range(height):
            for column in range(width):
                index = triangle[view, row, column]
                if index < 0:
                    continue
                i, j, k = triangles[index, 0], triangles[index, 1], triangles[index, 2]
                share = shares[row, column, 0], shares[row, column, 1], shares[row, column, 2]
                h0, h1, h2 = 0.0, 0.0, 0.0
                for channel in range(channels):
                    g = given[row, column, channel]
                    if len(of_attributes) > 0:
                        of_attributes[i, channel] += share[0] * g
                        of_attributes[j, channel] += share[1] * g
                        of_attributes[k, channel] += share[2] * g
                    precise = np.float64(g)
                    h0 += precise * values[i, channel]
                    h1 += precise * values[j, channel]
                    h2 += precise * values[k, channel]
                if len(of_clip) > 0:
                    _interpolate_adjoint_clip(seen, i, j, k, share, h0, h1, h2, of_clip)


@_compiled()
def _interpolate_adjoint_clip(clip, i, j, k, share, h0, h1, h2, grad_clip):
    mean = share[0] * h0 + share[1] * h1 + share[2] * h2
    h0, h1, h2 = h0 - mean, h1 - mean, h2 - mean
    a, b, c = _lines(clip, i, j, k, 1, 1)
    det = a[0] * clip[i, 0] + a[1] * clip[i, 1] + a[2] * clip[i, 3]
    if det == 0.0:
        return
    x = (a[0] * h0 + b[0] * h1 + c[0] * h2) / det
    y = (a[1] * h0 + b[1] * h1 + c[1] * h2) / det
    w = (a[2] * h0 + b[2] * h1 + c[2] * h2) / det
    for corner in range(3):
        vertex = (i, j, k)[corner]
        grad_clip[vertex, 0] -= share[corner] * x
        grad_clip[vertex, 1] -= share[corner] * y
        grad_clip[vertex, 3] -= share[corner] * w


@_compiled(parallel=True)
def find_silhouettes(clip, triangles, adjacency, triangle, depth, image, everywhere, count, pixels, edges, shares):
    """Lists where a silhouette passes between neighbouring pixel centres: ``count`` (N) of them in each view.

    Unless ``everywhere``, pixels with the same values in ``image`` (N, H W, C) are passed over: blending them changes
    nothing, and nothing about them depends on where the silhouette is.

    ``pixels`` (N, 2 H W, 2) int32: flat indices of the nearer and the farther pixel. ``edges`` (N, 2 H W, 2) int32: its
    two vertices. ``shares`` (N, 2 H W) float64: where it cuts the way from the nearer centre (0) to the farther (1).
    """
    views, height, width = triangle.shape
    for item in prange(views):
        view = np.int64(item)
        seen, values = clip[view], image[view]
        found = 0
        for row in range(height):
            for column in range(width):
                here = triangle[view, row, column]
                for vertical in range(2):
                    other_row, other_column = row + vertical, column + 1 - vertical
                    if other_row == height or other_column == width:
                        continue
                    there = triangle[view, other_row, other_column]
                    if here == there:
                        continue
                    first, second = row * width + column, other_row * width + other_column
                    if not everywhere and _same(values, first, second):
                        continue
                    # The empty pixel is behind whatever its depth.
                    swap = here < 0 or (there >= 0 and depth[view, other_row, other_column] < depth[view, row, column])
                    if swap:
                        near, far, at_row, at_column = there, here, other_row, other_column
                    else:
                        near, far, at_row, at_column = here, there, row, column
                    sign = -1.0 if swap else 1.0
                    x = np.float64(2 * at_column + 1) / width - 1.0
                    y = 1.0 - np.float64(2 * at_row + 1) / height
                    across = sign * 2.0 / width if vertical == 0 else 0.0
                    up = -sign * 2.0 / height if vertical == 1 else 0.0
                    share, a, b = _silhouette(seen, triangles, adjacency, near, far, x, y, across, up)
                    if a < 0 or _is_steep(seen, a, b, height, width) == (vertical == 1):
                        continue
                    pixels[view, found, 0] = second if swap else first
                    pixels[view, found, 1] = first if swap else second
                    edges[view, found, 0] = a
                    edges[view, found, 1] = b
                    shares[view, found] = share
                    found += 1
        count[view] = found


@_compiled()
def _same(pixels, one, other):
    """Whether two pixels of (H W, C) have the same values; a NaN is like nothing else."""
    for channel in range(pixels.shape[1]):  # noqa: SIM110 (Numba compiles no generators)
        if pixels[one, channel] != pixels[other, channel]:
            return False
    return True


@_compiled()
def _silhouette(clip, triangles, adjacency, near, far, x, y, across, up):
    """Where (0 to 1) and at which edge the surface of triangle ``near`` ends on its way from (x, y) to
    (x + across, y + up); vertices of -1 when it does not."""
    nowhere = (0.0, np.int32(-1), np.int32(-1))
    share, edge = -np.inf, -1
    for k in range(3):
        i, j = triangles[near, k], triangles[near, (k + 1) % 3]
        if not clip[i, 3] > 0.0:
            return nowhere
        if _is_left(clip, i, x, y, across, up) != _is_left(clip, j, x, y, across, up):
            at = _crossing(clip, i, j, x, y, across, up)
            if at > share:
                share, edge = at, k
    if edge < 0 or not share < np.inf:
        return nowhere
    a, b, c = triangles[near, edge], triangles[near, (edge + 1) % 3], triangles[near, (edge + 2) % 3]
    current = near
    for _ in range(WALK):
        if not share <= 1.0:
            return nowhere
        following = adjacency[current, edge]
        if following < 0 or following >= len(triangles):
            return (share, a, b) if share >= 0.0 else nowhere
        new = np.int32(-1)
        for k in range(3):
            vertex = triangles[following, k]
            if vertex != a and vertex != b:
                new = vertex
                break
        if new < 0 or not clip[new, 3] > 0.0:
            return nowhere
        if _side(clip, a, b, c) * _side(clip, a, b, new) > 0.0:
            return (share, a, b) if share >= 0.0 else nowhere
        if following == far:
            return nowhere
        if _is_left(clip, new, x, y, across, up) == _is_left(clip, a, x, y, across, up):
            a, c = new, a
        else:
            b, c = new, b
        share = _crossing(clip, a, b, x, y, across, up)
        current = following
        for k in range(3):
            i, j = triangles[following, k], triangles[following, (k + 1) % 3]
            if (i == a and j == b) or (i == b and j == a):
                edge = k
    return nowhere


@_compiled()
def _is_steep(clip, i, j, height, width):
    """Whether an edge is closer to a column of pixels than to a row."""
    line = _line(clip, i, j, height, width)
    return abs(line[0]) >= abs(line[1])


@_compiled()
def _is_left(clip, vertex, x, y, across, up):
    """Which side of the way between the two pixels a vertex is on."""
    vx, vy, vw = np.float64(clip[vertex, 0]), np.float64(clip[vertex, 1]), np.float64(clip[vertex, 3])
    return -up * vx + across * vy + (x * up - y * across) * vw >= 0.0


@_compiled()
def _side(clip, i, j, vertex):
    line = _line(clip, i, j, 1, 1)
    return line[0] * clip[vertex, 0] + line[1] * clip[vertex, 1] + line[2] * clip[vertex, 3]


@_compiled()
def _crossing(clip, i, j, x, y, across, up):
    line = _line(clip, i, j, 1, 1)
    return -(line[0] * x + line[1] * y + line[2]) / (line[0] * across + line[1] * up)


@_compiled(parallel=True)
def blend(image, count, pixels, shares, out):
    """``image`` and ``out`` are (N, H W, C)."""
    for item in prange(len(image)):
        view = np.int64(item)
        out[view] = image[view]
        for index in range(count[view]):
            near, far = pixels[view, index, 0], pixels[view, index, 1]
            share = shares[view, index] - 0.5
            target = far if share > 0.0 else near
            for channel in range(image.shape[2]):
                out[view, target, channel] += share * (image[view, near, channel] - image[view, far, channel])


@_compiled(parallel=True)
def blend_adjoint(image, clip, height, width, count, pixels, edges, shares, grad, grad_image, grad_clip):
    """Adds to ``grad_image`` (N, H W, C) and ``grad_clip`` (N, V, 4); either may be empty, and is left out.

    The share t solves e . (p + t d) = 0 with e = a x b, so dt = -(p + t d) . de / (e . d).
    """
    for item in prange(len(image)):
        view = np.int64(item)
        if grad_image.shape[1] > 0:
            grad_image[view] += grad[view]
        for index in range(count[view]):
            near, far = pixels[view, index, 0], pixels[view, index, 1]
            share = shares[view, index]
            target = far if share > 0.5 else near
            slope = 0.0
            for channel in range(image.shape[2]):
                g = np.float64(grad[view, target, channel])
                slope += g * (np.float64(image[view, near, channel]) - image[view, far, channel])
                if grad_image.shape[1] > 0:
                    grad_image[view, near, channel] += (share - 0.5) * g
                    grad_image[view, far, channel] -= (share - 0.5) * g
            if grad_clip.shape[1] == 0 or slope == 0.0:
                continue
            across = 2.0 * (far % width - near % width) / width
            up = -2.0 * (far // width - near // width) / height
            x = (2.0 * (near % width) + 1.0) / width - 1.0 + share * across
            y = 1.0 - (2.0 * (near // width) + 1.0) / height + share * up
            a, b = edges[view, index, 0], edges[view, index, 1]
            line = _line(clip[view], a, b, 1, 1)
            factor = -slope / (line[0] * across + line[1] * up)
            _add_cross(clip[view], b, x, y, factor, grad_clip[view, a])
            _add_cross(clip[view], a, x, y, -factor, grad_clip[view, b])


@_compiled()
def _add_cross(clip, vertex, x, y, factor, out):
    """Adds factor (vertex x (x, y, 1)) to x, y and w of a gradient."""
    vx, vy, vw = np.float64(clip[vertex, 0]), np.float64(clip[vertex, 1]), np.float64(clip[vertex, 3])
    out[0] += factor * (vy - vw * y)
    out[1] += factor * (vw * x - vx)
    out[3] += factor * (vx * y - vy * x)
