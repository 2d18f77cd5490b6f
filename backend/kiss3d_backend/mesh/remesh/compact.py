"""Leaving out what collapses removed."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def compact(triangles, twins, vertices, targets, face_count, vertex_count, outgoing):
    """New arrays ``(triangles, twins, vertices, targets)`` without removed triangles and vertices, in the same order.

    A vertex that no triangle had before the remeshing is left out as well.
    """
    face_at = np.full(face_count, -1, np.int32)
    faces = 0
    for face in range(face_count):
        if triangles[face, 0] >= 0:
            face_at[face] = faces
            faces += 1
    vertex_at = np.full(vertex_count, -1, np.int32)
    kept = 0
    for vertex in range(vertex_count):
        if outgoing[vertex] >= 0:
            vertex_at[vertex] = kept
            kept += 1
    new_triangles = np.empty((faces, 3), np.int32)
    new_twins = np.empty(3 * faces, np.int32)
    new_vertices = np.empty((kept, vertices.shape[1]), vertices.dtype)
    new_targets = np.empty(kept, targets.dtype)
    for face in range(face_count):
        to = face_at[face]
        if to >= 0:
            for corner in range(3):
                new_triangles[to, corner] = vertex_at[triangles[face, corner]]
                twin = twins[3 * face + corner]
                new_twins[3 * to + corner] = 3 * face_at[twin // 3] + twin % 3 if twin >= 0 else -1
    for vertex in range(vertex_count):
        if vertex_at[vertex] >= 0:
            new_vertices[vertex_at[vertex]] = vertices[vertex]
            new_targets[vertex_at[vertex]] = targets[vertex]
    return new_triangles, new_twins, new_vertices, new_targets
