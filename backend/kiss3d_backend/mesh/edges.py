"""Edges and neighbours of triangles, from one sort of packed int64 keys; for NumPy arrays and torch tensors alike.

A side is a triangle's own edge: side ``3 t + i`` runs from corner i of triangle t to corner (i + 1) % 3. An edge is
what sides share, whichever way they run. Torch is never imported here: a tensor brings it along.
"""

from __future__ import annotations

import sys
from typing import Any, Generic, TypeVar

import attrs
import numpy as np
from numpy.typing import NDArray

Array = TypeVar("Array")
"""``NDArray[np.int32]`` or a torch tensor of int32 or int64; what goes in decides what comes out, on its device."""


@attrs.frozen(eq=False)
class Edges(Generic[Array]):
    """The edges of a mesh; all arrays int32.

    ``ends``: (E, 2), the lower vertex first, in lexicographic order. ``uses``: (E,), how many triangles share the
    edge: 1 at a border, 2 inside, more where the mesh is not manifold. ``faces``: (E, 2), the first two of these
    triangles in ascending order, -1 where there is none. ``of_face``: (T, 3), the edge of each side. ``opposite``:
    (T, 3), the side (3 t + i) on the other side of an edge of exactly two triangles, else -1.
    """

    ends: Array
    uses: Array
    faces: Array
    of_face: Array
    opposite: Array


def find_edges(triangles: Array, vertex_count: int) -> Edges[Array]:
    """The edges of ``triangles`` (T, 3), indices below ``vertex_count``.

    The key of an edge is its lower end times ``vertex_count`` plus its higher end: sorting one int64 per side is many
    times faster than finding unique rows.
    """
    xp: Any = np if isinstance(triangles, np.ndarray) else sys.modules["torch"]
    starts_at: Any = triangles.reshape(-1)  # pyright: ignore[reportAttributeAccessIssue]
    ends_at: Any = triangles[:, [1, 2, 0]].reshape(-1)  # pyright: ignore[reportIndexIssue]
    starts_at, ends_at = _int64(starts_at), _int64(ends_at)
    key = xp.minimum(starts_at, ends_at) * max(vertex_count, 1) + xp.maximum(starts_at, ends_at)
    key, order = _sorted(key, vertex_count) if xp is np else xp.sort(key, stable=True)
    begins = xp.ones_like(key, dtype=xp.bool_ if xp is np else xp.bool)
    begins[1:] = key[1:] != key[:-1]
    edge = xp.cumsum(begins, 0) - 1
    first = xp.where(begins)[0]
    uses = xp.empty_like(first)
    uses[:-1] = first[1:] - first[:-1]
    uses[-1:] = len(key) - first[-1:]

    shared = uses >= 2
    faces = xp.stack([first, first], 1)
    faces[:, 0] = order[first] // 3
    faces[:, 1] = -1
    faces[shared, 1] = order[first[shared] + 1] // 3

    of_face = xp.empty_like(key)
    of_face[order] = edge
    opposite = xp.full_like(key, -1)
    pair = first[uses == 2]
    opposite[order[pair]] = order[pair + 1]
    opposite[order[pair + 1]] = order[pair]

    ends = xp.stack([key[first] // max(vertex_count, 1), key[first] % max(vertex_count, 1)], 1)
    return Edges(*map(_int32, (ends, uses, faces, of_face.reshape(-1, 3), opposite.reshape(-1, 3))))


def _sorted(key: NDArray[np.int64], vertex_count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The keys in ascending order, and where each of them was; of equal ones the first comes first."""
    sides = max(len(key), 1)
    if vertex_count**2 * sides >= 2**63:
        order = np.argsort(key, kind="stable")
        return key[order], order
    # Numbers alone are sorted several times faster than places by them.
    both = np.sort(key * sides + np.arange(len(key)))
    return np.divmod(both, sides)


def face_neighbours(triangles: Array, vertex_count: int) -> Array:
    """(T, 3) int32: the triangle across each side, -1 where there is none or more than one."""
    return find_edges(triangles, vertex_count).opposite // 3  # pyright: ignore[reportOperatorIssue]


def is_closed(triangles: Any, vertex_count: int) -> bool:
    """Whether every edge has exactly two triangles, which run along it in opposite directions."""
    edges = find_edges(triangles, vertex_count)
    return bool((edges.uses == 2).all()) and not bool(runs_the_same_way(triangles, edges.opposite).any())


def runs_the_same_way(triangles: Array, opposite: Array) -> Array:
    """(T, 3) bool: sides whose opposite starts at the same vertex, so that the two triangles face different ways."""
    starts_at: Any = triangles.reshape(-1)  # pyright: ignore[reportAttributeAccessIssue]
    return (opposite >= 0) & (starts_at[opposite] == triangles)  # pyright: ignore[reportOperatorIssue]


def _int64(array: Any) -> Any:
    return array.astype(np.int64) if isinstance(array, np.ndarray) else array.long()


def _int32(array: Any) -> Any:
    return array.astype(np.int32) if isinstance(array, np.ndarray) else array.int()
