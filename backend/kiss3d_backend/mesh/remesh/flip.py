"""Turning edges that cut the better diagonal of their two triangles."""

from __future__ import annotations

import numba
import numpy as np

from kiss3d_backend.mesh.remesh.half_edges import (
    are_neighbours,
    distance,
    doubled_area_vector,
    following,
    pair,
    preceding,
    start,
)

FLAT_ENOUGH = 0.8
"""Cosine between two triangles, below which their edge is a feature of the surface and stays."""


@numba.njit(cache=True, nogil=True)
def flip_edges(triangles, twins, vertices, face_count, outgoing, degree, fixed):
    """Flips each edge whose opposite angles sum to more than 180 degrees (Delaunay); returns how many.

    The surface hardly moves: both pairs of triangles must face the same way within the limit of a feature. No edge is
    made twice, and no vertex is left with fewer than three.
    """
    flipped = 0
    for ab in range(3 * face_count):
        ba = twins[ab]
        if ba < ab:
            continue
        a, b = start(triangles, ab), start(triangles, ba)
        c, d = start(triangles, preceding(ab)), start(triangles, preceding(ba))
        if c == d or degree[a] <= 3 or degree[b] <= 3:
            continue
        if not _wants_flip(vertices, a, b, c, d):
            continue
        if are_neighbours(triangles, twins, outgoing, fixed, c, d):
            continue
        _flip(triangles, twins, outgoing, degree, ab, ba, a, b, c, d)
        flipped += 1
    return flipped


@numba.njit(cache=True, nogil=True)
def _wants_flip(vertices, a, b, c, d):
    ab, bc, ca = distance(vertices, a, b), distance(vertices, b, c), distance(vertices, c, a)
    ad, db = distance(vertices, a, d), distance(vertices, d, b)
    # Cosines of the angles at c and at d, scaled: their sum is negative when the angles exceed 180 degrees.
    at_c = (bc * bc + ca * ca - ab * ab) / max(2.0 * bc * ca, 1e-30)
    at_d = (ad * ad + db * db - ab * ab) / max(2.0 * ad * db, 1e-30)
    if at_c + at_d > -1e-3:
        return False
    n = doubled_area_vector(vertices[a], vertices[b], vertices[c])
    m = doubled_area_vector(vertices[b], vertices[a], vertices[d])
    p = doubled_area_vector(vertices[a], vertices[d], vertices[c])
    q = doubled_area_vector(vertices[b], vertices[c], vertices[d])
    old = n[0] + m[0], n[1] + m[1], n[2] + m[2]
    return (
        _cosine(n, m) > FLAT_ENOUGH
        and _cosine(p, q) > FLAT_ENOUGH
        and _cosine(p, old) > FLAT_ENOUGH
        and _cosine(q, old) > FLAT_ENOUGH
    )


@numba.njit(cache=True, nogil=True)
def _cosine(u, v):
    lengths = (u[0] * u[0] + u[1] * u[1] + u[2] * u[2]) * (v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    return (u[0] * v[0] + u[1] * v[1] + u[2] * v[2]) / np.sqrt(lengths) if lengths > 1e-60 else 0.0


@numba.njit(cache=True, nogil=True)
def _flip(triangles, twins, outgoing, degree, ab, ba, a, b, c, d):
    """Triangles (a, b, c) and (b, a, d) become (a, d, c) and (b, c, d)."""
    beyond_bc, beyond_ca = twins[following(ab)], twins[preceding(ab)]
    beyond_ad, beyond_db = twins[following(ba)], twins[preceding(ba)]
    one, other = ab // 3, ba // 3
    triangles[one, 0], triangles[one, 1], triangles[one, 2] = a, d, c
    triangles[other, 0], triangles[other, 1], triangles[other, 2] = b, c, d
    pair(twins, 3 * one, beyond_ad)
    pair(twins, 3 * one + 1, 3 * other + 1)
    pair(twins, 3 * one + 2, beyond_ca)
    pair(twins, 3 * other, beyond_bc)
    pair(twins, 3 * other + 2, beyond_db)
    outgoing[a], outgoing[b], outgoing[c], outgoing[d] = 3 * one, 3 * other, 3 * other + 1, 3 * one + 1
    degree[a] -= 1
    degree[b] -= 1
    degree[c] += 1
    degree[d] += 1
