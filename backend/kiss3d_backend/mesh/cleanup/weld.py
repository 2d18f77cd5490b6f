"""One vertex for each place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kiss3d_backend.mesh.cleanup.soup import Soup


def weld(soup: Soup) -> Soup:
    """Vertices at exactly the same place become one; unused ones go."""
    order = np.lexsort(soup.positions.T)
    ordered = soup.positions[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.cumsum(begins) - 1
    return _renumber(soup, ordered[begins], place)


def collapse_short_edges(soup: Soup, shortest: float) -> Soup:
    """The ends of edges up to this length become one vertex, in their middle. Faces on them become degenerate."""
    starts, ends = soup.triangles.ravel(), soup.triangles[:, [1, 2, 0]].ravel()
    length = np.linalg.norm(soup.positions[starts].astype(np.float64) - soup.positions[ends], axis=1)
    short = length <= shortest
    if not short.any():
        return soup
    count = len(soup.positions)
    links = coo_array((np.ones(int(short.sum())), (starts[short], ends[short])), shape=(count, count))
    groups, group = connected_components(links, directed=False)
    members = np.bincount(group, minlength=groups)
    sums = np.stack([np.bincount(group, soup.positions[:, axis], groups) for axis in range(3)], axis=1)
    return _renumber(soup, (sums / members[:, None]).astype(np.float32), group.astype(np.int64))


def _renumber(soup: Soup, positions: NDArray[np.float32], index: NDArray[np.int64]) -> Soup:
    return Soup(positions, index[soup.triangles].astype(np.int32)).compact()
