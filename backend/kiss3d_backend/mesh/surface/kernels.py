"""Numba kernels of the projection."""

from __future__ import annotations

import numpy as np

from kiss3d_backend.mesh.compiled import compiled


@compiled
def add_view(points, normals, camera, depth, limits, planes, totals):
    """Adds to ``totals`` (P, 5) what one view sees of points (P, 3) with ``normals`` (P, 3) of any length: three
    weighted colours, their weights, and the confidence.

    ``camera``: world to clip (4, 4), the eye (3,) and the weight. ``depth``: (h, w), see :class:`DepthMap`. ``limits``:
    the least cosine, the share of the distance and the slope that depth may be off by, and the steepest slope.
    ``planes``: (H, W, 5), colours, ``Trust.seen`` and ``Trust.preferred``.
    """
    matrix, eye, view_weight = camera
    facing, bias, pixel, steepest = limits
    height, width = planes.shape[:2]
    rows, columns = depth.shape
    clip = np.empty(4, np.float64)
    seen = np.empty(5, np.float64)
    for item in range(len(points)):
        x, y, z = np.float64(points[item, 0]), np.float64(points[item, 1]), np.float64(points[item, 2])
        nx, ny, nz = np.float64(normals[item, 0]), np.float64(normals[item, 1]), np.float64(normals[item, 2])
        tx, ty, tz = eye[0] - x, eye[1] - y, eye[2] - z
        length = np.sqrt((nx * nx + ny * ny + nz * nz) * (tx * tx + ty * ty + tz * tz))
        cosine = (nx * tx + ny * ty + nz * tz) / max(length, 1e-12)
        if not cosine > facing:
            continue
        for row in range(4):
            clip[row] = matrix[row, 0] * x + matrix[row, 1] * y + matrix[row, 2] * z + matrix[row, 3]
        distance = clip[3]
        if not distance > 0.0:
            continue
        across, down = (clip[0] / distance + 1.0) * 0.5, (1.0 - clip[1] / distance) * 0.5
        if not (0.0 <= across < 1.0 and 0.0 <= down < 1.0):
            continue
        slope = min(np.sqrt(max(1.0 - cosine * cosine, 0.0)) / cosine, steepest)
        farthest = depth[min(int(down * rows), rows - 1), min(int(across * columns), columns - 1)]
        if distance > farthest + distance * (pixel * slope + bias):
            continue
        _look_up(planes, across * width - 0.5, down * height - 0.5, seen)
        share = view_weight * cosine * cosine
        weight = share * seen[4]
        for channel in range(3):
            totals[item, channel] += seen[channel] * weight
        totals[item, 3] += weight
        totals[item, 4] += share * seen[3]


@compiled
def _look_up(planes, column, row, values):
    """Bilinear ``values`` (C,) of ``planes`` (H, W, C); what is beyond the border is as at the border."""
    height, width, count = planes.shape
    left, top = int(np.floor(column)), int(np.floor(row))
    u, v = column - left, row - top
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    left, top = max(left, 0), max(top, 0)
    for plane in range(count):
        upper = planes[top, left, plane] * (1.0 - u) + planes[top, right, plane] * u
        lower = planes[bottom, left, plane] * (1.0 - u) + planes[bottom, right, plane] * u
        values[plane] = upper * (1.0 - v) + lower * v
