"""Numba kernels of the optimiser on the CPU: what torch does with three passes over an index for each column."""

from __future__ import annotations

import numpy as np

from kiss3d_backend.mesh.compiled import compiled


@compiled
def rings(triangles, count):
    """``begins`` (V + 1,) and ``ends`` (3 T,): the neighbours of vertex v are ends[begins[v] : begins[v + 1]].

    ``triangles``: (T, 3) of a closed mesh; ``count``: V.
    """
    begins = np.zeros(count + 1, np.int32)
    for triangle in range(len(triangles)):
        for corner in range(3):
            begins[triangles[triangle, corner] + 1] += 1
    for vertex in range(count):
        begins[vertex + 1] += begins[vertex]
    free = begins[:-1].copy()
    ends = np.empty(3 * len(triangles), np.int32)
    for triangle in range(len(triangles)):
        for corner in range(3):
            vertex = triangles[triangle, corner]
            ends[free[vertex]] = triangles[triangle, (corner + 1) % 3]
            free[vertex] += 1
    return begins, ends


@compiled
def jacobi(begins, ends, values, own, share, rounds):
    """``rounds`` times: new = ``own`` values + ``share`` (mean of the neighbours' new); (V, 3) float32.

    The first new is ``values`` themselves.
    """
    count = len(begins) - 1
    weight = np.empty(count, np.float32)
    given = np.empty((count, 3), np.float32)
    last = np.empty((count, 3), np.float32)
    new = np.empty((count, 3), np.float32)
    for vertex in range(count):
        weight[vertex] = share / max(begins[vertex + 1] - begins[vertex], 1)
        for axis in range(3):
            given[vertex, axis] = np.float32(own) * values[vertex, axis]
            new[vertex, axis] = values[vertex, axis]
    for _ in range(rounds):
        last, new = new, last
        for vertex in range(count):
            x, y, z = np.float32(0.0), np.float32(0.0), np.float32(0.0)
            for place in range(begins[vertex], begins[vertex + 1]):
                end = ends[place]
                x += last[end, 0]
                y += last[end, 1]
                z += last[end, 2]
            new[vertex, 0] = given[vertex, 0] + weight[vertex] * x
            new[vertex, 1] = given[vertex, 1] + weight[vertex] * y
            new[vertex, 2] = given[vertex, 2] + weight[vertex] * z
    return new


@compiled
def surface_area(vertices, triangles):
    """Of (V, 3 or more) and (T, 3); only the first three columns are positions."""
    doubled = 0.0
    for triangle in range(len(triangles)):
        i, j, k = triangles[triangle, 0], triangles[triangle, 1], triangles[triangle, 2]
        ux, vx = np.float64(vertices[j, 0]) - vertices[i, 0], np.float64(vertices[k, 0]) - vertices[i, 0]
        uy, vy = np.float64(vertices[j, 1]) - vertices[i, 1], np.float64(vertices[k, 1]) - vertices[i, 1]
        uz, vz = np.float64(vertices[j, 2]) - vertices[i, 2], np.float64(vertices[k, 2]) - vertices[i, 2]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        doubled += np.sqrt(x * x + y * y + z * z)
    return 0.5 * doubled
