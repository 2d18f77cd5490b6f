"""Reading and writing the half-edge table that split, collapse and flip change in place.

Half-edge ``3 t + i`` runs from corner i of triangle t to its next corner. ``twins`` (3 T,) int32 gives the half-edge
that runs the other way along the same edge; -1 where the mesh has a border there or is not manifold.
``outgoing`` (V,) int32 gives one half-edge that starts at each vertex. A vertex is ``fixed`` when its triangles are
not one closed fan: nothing walks around it, so no operation removes it or changes its ring.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.edges import find_edges, runs_the_same_way


def connect(triangles: NDArray[np.int32], vertex_count: int) -> NDArray[np.int32]:
    """The twins (3 T,) of ``triangles`` (T, 3)."""
    edges = find_edges(triangles, vertex_count)
    return np.where(runs_the_same_way(triangles, edges.opposite), -1, edges.opposite).astype(np.int32).ravel()


@numba.njit(cache=True, nogil=True)
def following(half_edge):
    """The next half-edge of the same triangle, counter-clockwise."""
    return half_edge - 2 if half_edge % 3 == 2 else half_edge + 1


@numba.njit(cache=True, nogil=True)
def preceding(half_edge):
    return half_edge + 2 if half_edge % 3 == 0 else half_edge - 1


@numba.njit(cache=True, nogil=True)
def start(triangles, half_edge):
    """The vertex that a half-edge starts at."""
    return triangles[half_edge // 3, half_edge % 3]


@numba.njit(cache=True, nogil=True)
def pair(twins, one, other):
    """Makes two half-edges each other's twin; -1 stands for a border."""
    if one >= 0:
        twins[one] = other
    if other >= 0:
        twins[other] = one


@numba.njit(cache=True, nogil=True)
def walk(triangles, twins, vertices):
    """``outgoing`` (V,) int32, ``degree`` (V,) int32 and ``fixed`` (V,) bool of a mesh that was just connected."""
    outgoing = np.full(vertices, -1, np.int32)
    count = np.zeros(vertices, np.int32)
    fixed = np.zeros(vertices, np.bool_)
    for half_edge in range(len(twins)):
        vertex = start(triangles, half_edge)
        outgoing[vertex] = half_edge
        count[vertex] += 1
        if twins[half_edge] < 0:
            fixed[vertex] = True
            fixed[start(triangles, following(half_edge))] = True
    for vertex in range(vertices):
        if fixed[vertex] or outgoing[vertex] < 0:
            continue
        walked = 0
        half_edge = outgoing[vertex]
        while walked <= count[vertex]:
            walked += 1
            half_edge = twins[preceding(half_edge)]
            if half_edge < 0 or half_edge == outgoing[vertex]:
                break
        # More than one fan at this vertex, or a fan that runs over one of its edges twice.
        fixed[vertex] = half_edge < 0 or walked != count[vertex]
    return outgoing, count, fixed


@numba.njit(cache=True, nogil=True)
def are_neighbours(triangles, twins, outgoing, fixed, one, other):
    """Whether an edge joins two vertices, not both fixed (of which it says True)."""
    if fixed[one]:
        one, other = other, one
    if fixed[one]:
        return True
    half_edge = outgoing[one]
    while True:
        if start(triangles, following(half_edge)) == other:
            return True
        half_edge = twins[preceding(half_edge)]
        if half_edge == outgoing[one]:
            return False


@numba.njit(cache=True, nogil=True)
def distance(vertices, one, other):
    """The length of the edge between two vertices."""
    x = float(vertices[one, 0]) - vertices[other, 0]
    y = float(vertices[one, 1]) - vertices[other, 1]
    z = float(vertices[one, 2]) - vertices[other, 2]
    return np.sqrt(x * x + y * y + z * z)


@numba.njit(cache=True, nogil=True)
def doubled_area_vector(a, b, c):
    """The normal of triangle (a, b, c), positions (3,), as long as twice its area; three float64."""
    ux, uy, uz = float(b[0]) - a[0], float(b[1]) - a[1], float(b[2]) - a[2]
    vx, vy, vz = float(c[0]) - a[0], float(c[1]) - a[1], float(c[2]) - a[2]
    return uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
