"""Splitting edges that are too long."""

from __future__ import annotations

import numba
import numpy as np

from kiss3d_backend.mesh.remesh.half_edges import distance, following, pair, preceding, start

TOO_LONG = 4.0 / 3.0
"""In target lengths: a longer edge is nearer to its target when it is halved (Botsch and Kobbelt 2004)."""


@numba.njit(cache=True, nogil=True)
def split_long_edges(triangles, twins, vertices, targets, face_count, vertex_count, outgoing, degree, fixed):
    """Halves edges longer than 4/3 of their ends' mean target, the longest first; returns (faces, vertices) in use.

    All arrays have room to spare: ``face_count`` triangles and ``vertex_count`` vertices are in use. What does not
    fit any more stays long until the next call. The new vertex carries the means of its ends' values.
    """
    excess = np.empty(3 * face_count, np.float32)
    long = np.empty(3 * face_count, np.int32)
    found = 0
    for half_edge in range(3 * face_count):
        if twins[half_edge] > half_edge:
            a = start(triangles, half_edge)
            b = start(triangles, following(half_edge))
            ratio = distance(vertices, a, b) / (0.5 * (targets[a] + targets[b]))
            if ratio > TOO_LONG:
                excess[found] = ratio
                long[found] = half_edge
                found += 1
    order = np.argsort(-excess[:found])
    # A split moves no other candidate to another index, and shortens none.
    for rank in range(found):
        if face_count + 2 > len(triangles) or vertex_count + 1 > len(vertices):
            break
        if _split(
            triangles, twins, vertices, targets, face_count, vertex_count, outgoing, degree, fixed, long[order[rank]]
        ):
            face_count += 2
            vertex_count += 1
    return face_count, vertex_count


@numba.njit(cache=True, nogil=True)
def _split(triangles, twins, vertices, targets, new_face, middle, outgoing, degree, fixed, ab):
    """Puts vertex ``middle`` on half-edge ``ab`` of triangle (a, b, c), whose twin is of triangle (b, a, d)."""
    ba = twins[ab]
    bc, ca, db = following(ab), preceding(ab), preceding(ba)
    a, b, c, d = start(triangles, ab), start(triangles, bc), start(triangles, ca), start(triangles, db)
    if c == d:
        return False
    beyond_bc, beyond_db = twins[bc], twins[db]
    vertices[middle] = 0.5 * (vertices[a] + vertices[b])
    targets[middle] = 0.5 * (targets[a] + targets[b])

    # (a, b, c) becomes (a, m, c), (b, a, d) becomes (m, a, d); (m, b, c) and (b, m, d) are new.
    triangles[bc // 3, bc % 3] = middle
    triangles[ba // 3, ba % 3] = middle
    upper, lower = 3 * new_face, 3 * new_face + 3
    triangles[new_face, 0], triangles[new_face, 1], triangles[new_face, 2] = middle, b, c
    triangles[new_face + 1, 0], triangles[new_face + 1, 1], triangles[new_face + 1, 2] = b, middle, d
    pair(twins, upper, lower)
    pair(twins, upper + 1, beyond_bc)
    pair(twins, upper + 2, bc)
    pair(twins, lower + 1, db)
    pair(twins, lower + 2, beyond_db)
    outgoing[middle] = bc
    outgoing[b] = upper + 1
    degree[middle] = 4
    degree[c] += 1
    degree[d] += 1
    fixed[middle] = False
    return True
