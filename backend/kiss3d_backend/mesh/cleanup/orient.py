"""Faces that agree on which side is outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from kiss3d_backend.mesh.cleanup.soup import Soup
from kiss3d_backend.mesh.edges import find_edges, runs_the_same_way


def orient(soup: Soup) -> Soup:
    """Turns faces so that neighbours agree, and each connected part so that its volume is positive.

    Faces are neighbours across edges that exactly two of them share. A part that cannot agree (a Moebius strip) agrees
    but for some of its edges.
    """
    count = len(soup.triangles)
    if count == 0:
        return soup
    opposite = find_edges(soup.triangles, len(soup.positions)).opposite
    against = runs_the_same_way(soup.triangles, opposite).ravel()
    sides = np.flatnonzero(opposite.ravel() >= 0)
    face, other = sides // 3, opposite.ravel()[sides] // 3
    differ = against[sides]
    # Every face twice, as it is and turned over: what is connected agrees.
    rows = np.concatenate([face, face + count])
    columns = np.concatenate([np.where(differ, other + count, other), np.where(differ, other, other + count)])
    cover = csr_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(2 * count, 2 * count))
    _, sheet = connected_components(cover, directed=False)
    # Of a part's two sheets the one with the lower number; both are one where the part cannot agree.
    turned = sheet[:count] > sheet[count:]
    torn = sheet[:count] == sheet[count:]
    while torn.any():
        turned, torn = _agree_mostly(cover, count, turned, torn)
    triangles = np.where(turned[:, None], soup.triangles[:, ::-1], soup.triangles)

    _, part = connected_components(
        coo_array((np.ones(len(face), np.int8), (face, other)), shape=(count, count)), directed=False
    )
    a, b, c = (soup.positions[triangles[:, corner]].astype(np.float64) for corner in range(3))
    centre = np.stack([np.bincount(part, ((a + b + c) / 3.0)[:, axis]) for axis in range(3)], axis=1)
    centre = (centre / np.bincount(part)[:, None])[part]
    volume = np.bincount(part, np.einsum("ij,ij->i", a - centre, np.cross(b - centre, c - centre)))
    inwards = (volume < 0)[part]
    return Soup(soup.positions, np.where(inwards[:, None], triangles[:, ::-1], triangles).astype(np.int32))


def _agree_mostly(
    cover: csr_array, count: int, turned: NDArray[np.bool_], torn: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Settles one part that cannot agree, outwards from its first face."""
    order, _ = breadth_first_order(cover, int(np.flatnonzero(torn)[0]), directed=False)
    rank = np.full(2 * count, 2 * count, dtype=np.int64)
    rank[order] = np.arange(len(order))
    reached = rank[:count] < 2 * count
    return np.where(reached, rank[:count] > rank[count:], turned), torn & ~reached
