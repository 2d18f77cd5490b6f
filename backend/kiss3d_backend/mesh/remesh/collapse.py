"""Collapsing edges that are too short."""

from __future__ import annotations

import numba
import numpy as np

from kiss3d_backend.mesh.remesh.half_edges import distance, doubled_area_vector, following, pair, preceding, start
from kiss3d_backend.mesh.remesh.split import TOO_LONG

TOO_SHORT = 4.0 / 5.0
"""In target lengths (Botsch and Kobbelt 2004)."""

_MOST_EDGES = 12
_LEAST_COSINE = 0.3


@numba.njit(cache=True, nogil=True)
def collapse_short_edges(triangles, twins, vertices, targets, face_count, outgoing, degree, fixed, too_short):
    """Collapses edges shorter than ``too_short`` times their ends' mean target, the shortest first; returns how many.

    An edge collapses to its middle, and only where the link condition holds (its ends have just the two opposite
    vertices in common), no triangle around it turns by more than about 70 degrees or loses its area, no edge becomes
    too long, and every vertex keeps at least three edges. A removed triangle has -1 as its corners.
    """
    shortness = np.empty(3 * face_count, np.float32)
    short = np.empty(3 * face_count, np.int32)
    found = 0
    for half_edge in range(3 * face_count):
        if twins[half_edge] > half_edge:
            a = start(triangles, half_edge)
            b = start(triangles, following(half_edge))
            ratio = distance(vertices, a, b) / (0.5 * (targets[a] + targets[b]))
            if ratio < too_short:
                shortness[found] = ratio
                short[found] = half_edge
                found += 1
    order = np.argsort(shortness[:found])
    seen = np.full(len(vertices), -1, np.int32)
    merged = np.empty(vertices.shape[1], vertices.dtype)
    collapsed = 0
    for rank in range(found):
        ab = short[order[rank]]
        if triangles[ab // 3, 0] < 0:
            continue
        a, b = start(triangles, ab), start(triangles, following(ab))
        target = 0.5 * (targets[a] + targets[b])
        if distance(vertices, a, b) >= too_short * target:
            continue
        for column in range(3):
            merged[column] = 0.5 * (vertices[a, column] + vertices[b, column])
        if _may_collapse(triangles, twins, vertices, outgoing, degree, fixed, ab, merged, target, seen):
            for column in range(3, len(merged)):
                merged[column] = 0.5 * (vertices[a, column] + vertices[b, column])
            _collapse(triangles, twins, outgoing, degree, ab)
            vertices[a] = merged
            targets[a] = target
            collapsed += 1
    return collapsed


@numba.njit(cache=True, nogil=True)
def _may_collapse(triangles, twins, vertices, outgoing, degree, fixed, ab, merged, target, seen):
    ba = twins[ab]
    a, b = start(triangles, ab), start(triangles, ba)
    c, d = start(triangles, preceding(ab)), start(triangles, preceding(ba))
    if fixed[a] or fixed[b] or c == d or degree[c] <= 3 or degree[d] <= 3:
        return False
    if degree[a] + degree[b] - 4 < 3 or degree[a] + degree[b] - 4 > _MOST_EDGES:
        return False
    # First, because this is what keeps nearly every edge that stays.
    if _gets_too_long(triangles, twins, vertices, outgoing, a, b, merged, target) or _gets_too_long(
        triangles, twins, vertices, outgoing, b, a, merged, target
    ):
        return False
    # Link condition: ``seen`` marks the neighbours of a with a number that no other edge uses.
    half_edge = outgoing[a]
    while True:
        seen[start(triangles, following(half_edge))] = ab
        half_edge = twins[preceding(half_edge)]
        if half_edge == outgoing[a]:
            break
    common = 0
    half_edge = outgoing[b]
    while True:
        if seen[start(triangles, following(half_edge))] == ab:
            common += 1
        half_edge = twins[preceding(half_edge)]
        if half_edge == outgoing[b]:
            break
    if common != 2:
        return False
    return _keeps_shape(triangles, twins, vertices, outgoing, a, b, merged, target) and _keeps_shape(
        triangles, twins, vertices, outgoing, b, a, merged, target
    )


@numba.njit(cache=True, nogil=True)
def _gets_too_long(triangles, twins, vertices, outgoing, moving, removed, merged, target):
    """Whether an edge of ``moving``, but not the one to ``removed``, is too long after its move to ``merged``."""
    longest = (TOO_LONG * target) ** 2
    half_edge = outgoing[moving]
    while True:
        p = start(triangles, following(half_edge))
        if p != removed:
            x = float(vertices[p, 0]) - merged[0]
            y = float(vertices[p, 1]) - merged[1]
            z = float(vertices[p, 2]) - merged[2]
            if x * x + y * y + z * z > longest:
                return True
        half_edge = twins[preceding(half_edge)]
        if half_edge == outgoing[moving]:
            return False


@numba.njit(cache=True, nogil=True)
def _keeps_shape(triangles, twins, vertices, outgoing, moving, removed, merged, target):
    """Whether the triangles around ``moving``, but not those with ``removed``, keep facing the way that they do."""
    half_edge = outgoing[moving]
    while True:
        p = start(triangles, following(half_edge))
        q = start(triangles, preceding(half_edge))
        if p != removed and q != removed:
            old = doubled_area_vector(vertices[moving], vertices[p], vertices[q])
            new = doubled_area_vector(merged, vertices[p], vertices[q])
            cosine = old[0] * new[0] + old[1] * new[1] + old[2] * new[2]
            old_area = np.sqrt(old[0] ** 2 + old[1] ** 2 + old[2] ** 2)
            new_area = np.sqrt(new[0] ** 2 + new[1] ** 2 + new[2] ** 2)
            # A triangle without an area has no side to turn to: only getting an area is asked of it.
            if new_area < 1e-4 * target * target or (
                old_area > 1e-4 * target * target and cosine < _LEAST_COSINE * old_area * new_area
            ):
                return False
        half_edge = twins[preceding(half_edge)]
        if half_edge == outgoing[moving]:
            return True


@numba.njit(cache=True, nogil=True)
def _collapse(triangles, twins, outgoing, degree, ab):
    """Removes b = end of ``ab`` and the two triangles at ``ab``; b's other triangles get a = its start."""
    ba = twins[ab]
    a, b = start(triangles, ab), start(triangles, ba)
    c, d = start(triangles, preceding(ab)), start(triangles, preceding(ba))
    half_edge = ba
    while True:
        triangles[half_edge // 3, half_edge % 3] = a
        half_edge = twins[preceding(half_edge)]
        if half_edge == ba:
            break
    cb, ac = twins[following(ab)], twins[preceding(ab)]
    da, bd = twins[following(ba)], twins[preceding(ba)]
    pair(twins, cb, ac)
    pair(twins, da, bd)
    for dead in (ab // 3, ba // 3):
        for corner in range(3):
            triangles[dead, corner] = -1
            twins[3 * dead + corner] = -1
    outgoing[a], outgoing[c], outgoing[d] = ac, cb, da
    outgoing[b] = -1
    degree[a] += degree[b] - 4
    degree[b] = 0
    degree[c] -= 1
    degree[d] -= 1
