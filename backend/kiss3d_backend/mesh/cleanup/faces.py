"""Faces that are none: twice the same vertex, no area, or the same place twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.cleanup.soup import Soup
from kiss3d_backend.mesh.edges import find_edges

FLATTEST = 1e-5
"""A face whose height is below this share of its longest side has no area."""

_FLIP_ROUNDS = 8


def without_collapsed(soup: Soup) -> Soup:
    """Drops faces that use a vertex twice."""
    a, b, c = soup.triangles.T
    return soup.keep((a != b) & (b != c) & (c != a))


def without_duplicates(soup: Soup) -> Soup:
    """Of faces on the same three vertices one stays, and none of two that face opposite ways: there is nothing between
    them.
    """
    if len(soup.triangles) == 0:
        return soup
    ordered = np.sort(soup.triangles, axis=1)
    a, b, c = soup.triangles.T
    turns = (b > a).astype(np.int64) + (c > b) + (a > c)  # 2 for an even permutation of the sorted corners, else 1
    sign = np.where(turns == 2, 1, -1)
    order = np.lexsort(ordered.T)
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (ordered[order[1:]] != ordered[order[:-1]]).any(axis=1)
    if begins.all():
        return soup
    group = np.empty(len(order), dtype=np.int64)
    group[order] = np.cumsum(begins) - 1
    balance = np.bincount(group, sign)
    wanted = np.sign(balance).astype(np.int64)
    candidates = np.flatnonzero(sign == wanted[group])
    _, kept = np.unique(group[candidates], return_index=True)
    return soup.keep(np.sort(candidates[kept]))


def is_flat(soup: Soup) -> NDArray[np.bool_]:
    """(T,): faces without an area."""
    longest = _side_lengths(soup).max(axis=1)
    return np.linalg.norm(soup.facing(), axis=1) <= FLATTEST * longest**2


def flip_flat(soup: Soup) -> Soup:
    """Gives the long side of each flat face to its other two: the face across it is split there instead.

    What was closed stays closed. A face stays flat where the flip would make an edge that is there already.
    """
    triangles = soup.triangles.copy()
    for _ in range(_FLIP_ROUNDS):
        current = Soup(soup.positions, triangles)
        flat = np.flatnonzero(is_flat(current))
        if len(flat) == 0:
            break
        edges = find_edges(triangles, len(soup.positions))
        count = len(soup.positions)
        there = set((edges.ends[:, 0].astype(np.int64) * count + edges.ends[:, 1]).tolist())
        longest = _side_lengths(current).argmax(axis=1)
        touched: set[int] = set()
        for face in flat.tolist():
            corner = int(longest[face])
            across = int(edges.opposite[face, corner])
            other = across // 3
            if across < 0 or face in touched or other in touched:
                continue
            start, end, tip = (int(triangles[face, (corner + turn) % 3]) for turn in range(3))
            far = int(triangles[other, (across + 2) % 3])
            key = min(tip, far) * count + max(tip, far)
            same_way = int(triangles[other, across % 3]) == start
            if tip == far or key in there or same_way:
                continue
            triangles[face] = (start, far, tip)
            triangles[other] = (far, end, tip)
            there.add(key)
            touched |= {face, other}
        if not touched:
            break
    return Soup(soup.positions, triangles)


def _side_lengths(soup: Soup) -> NDArray[np.float64]:
    corners = soup.positions[soup.triangles].astype(np.float64)
    return np.linalg.norm(corners[:, [1, 2, 0]] - corners, axis=2)
