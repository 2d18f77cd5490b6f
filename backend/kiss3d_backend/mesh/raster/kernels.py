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

from kiss3d_backend.mesh.raster.fragments import DEPTH_STEPS

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
        numba.set_num_threads(max(1, min(count, numba.config.NUMBA_NUM_THREADS)))
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
        top = max(first, int(math.ceil(max(low, np.float32(-1.0)) - _SLACK)))
        bottom = min(last - 1, int(math.floor(min(high, np.float32(height)) + _SLACK)))
        begin = max(0, int(math.ceil(max(left, np.float32(-1.0)) - _SLACK)))
        end = min(width - 1, int(math.floor(min(right, np.float32(width)) + _SLACK)))
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
        for column in range(width):
            key = keys[view, row, column]
            if key == _NOTHING:
                triangle[view, row, column] = -1
                barycentric[view, row, column] = 0.0
                depth[view, row, column] = 1.0
                continue
            index = key & _LOW_BITS
            i, j, k = triangles[index, 0], triangles[index, 1], triangles[index, 2]
            a, b, c = _lines(clip[view], i, j, k, height, width)
            x = np.float64(2 * column + 1 - width)
            s0 = a[0] * x + (a[1] * y + a[2])
            s1 = b[0] * x + (b[1] * y + b[2])
            s2 = c[0] * x + (c[1] * y + c[2])
            total = s0 + s1 + s2
            triangle[view, row, column] = index
            barycentric[view, row, column, 0] = s0 / total
            barycentric[view, row, column, 1] = s1 / total
            barycentric[view, row, column, 2] = s2 / total
            z0, z1, z2 = np.float64(clip[view, i, 2]), np.float64(clip[view, j, 2]), np.float64(clip[view, k, 2])
            w0, w1, w2 = np.float64(clip[view, i, 3]), np.float64(clip[view, j, 3]), np.float64(clip[view, k, 3])
            depth[view, row, column] = _depth(s0, s1, s2, z0, z1, z2, w0, w1, w2)
