"""Smoothing that does not shrink."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kiss3d_backend.mesh.edges import find_edges

_SHRINK, _GROW = 0.5, -0.53


def smooth(positions: NDArray[np.float32], triangles: NDArray[np.int32], rounds: int) -> NDArray[np.float32]:
    """Positions (V, 3) after ``rounds`` of Taubin's smoothing ("A signal processing approach to fair surface design",
    1995): towards the mean of the neighbours, and a little further back. Vertices at a border stay.
    """
    if rounds <= 0 or len(triangles) == 0:
        return positions
    edges = find_edges(triangles, len(positions))
    size = (len(positions), len(positions))
    half = sp.coo_array((np.ones(len(edges.ends)), (edges.ends[:, 0], edges.ends[:, 1])), shape=size)
    links = sp.csr_array(half + half.T)
    degree = np.asarray(links.sum(axis=1)).ravel()
    mean = sp.diags_array(1.0 / np.maximum(degree, 1.0)) @ links
    moves = (degree > 0).astype(np.float64)
    moves[edges.ends[edges.uses == 1].ravel()] = 0.0
    current = positions.astype(np.float64)
    for _ in range(rounds):
        for share in (_SHRINK, _GROW):
            current = current + (share * moves)[:, None] * (mean @ current - current)
    return current.astype(np.float32)
