"""Colours spread over a mesh into what no view has seen."""

from __future__ import annotations

import attrs
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from kiss3d_backend.mesh.edges import find_edges

NEUTRAL = 0.72
"""The grey of an object of which nothing at all was seen."""

_HEARSAY = 0.02
"""How strongly a colour seen with low confidence pulls, beside a pull of 1 to the mean of the neighbours."""


@attrs.frozen(eq=False)
class Filled:
    """``colours``: (V, 3) float32 in [0, 1]. ``unseen_parts``: how many disconnected parts no view saw anything of."""

    colours: NDArray[np.float32]
    unseen_parts: int


def fill_by_diffusion(
    positions: NDArray[np.float32],
    triangles: NDArray[np.int32],
    colours: NDArray[np.float32],
    certainty: NDArray[np.float32],
) -> Filled:
    """Keeps colours where ``certainty`` is 1 and lets them spread along the edges to where it is less.

    ``positions``: (V, 3); ``colours``: (V, 3); ``certainty``: (V,) in [0, 1]. A vertex of lower certainty takes the
    mean of its neighbours, weighted by one over the length of the edge, and is drawn to its own colour a little, by its
    certainty: a sparse linear system. A part without any seen vertex takes one colour, that of the places nearest to it
    on other parts; an object without one is grey.
    """
    count = len(positions)
    result = np.where(certainty[:, None] > 0, colours, NEUTRAL).astype(np.float32)
    known = certainty >= 1.0
    graph = _graph(positions, triangles)
    parts, part = connected_components(graph, directed=False)
    evidence = np.bincount(part, certainty, parts)
    used = np.bincount(part[triangles[:, 0]], minlength=parts) > 0 if len(triangles) else np.zeros(parts, bool)
    unseen = (evidence <= 1e-3) & used

    free = ~known & (evidence > 1e-3)[part]
    index = np.flatnonzero(free)
    if len(index):
        degree = np.asarray(graph.sum(axis=1)).ravel()
        pull = _HEARSAY * np.clip(certainty, 0.0, 1.0) * degree
        system = (sp.diags_array(degree + pull) - graph).tocsr()[index]
        right = pull[index, None] * colours[index] - system[:, np.flatnonzero(known)] @ colours[known]
        result[index] = _solve(system[:, index].tocsc(), right)
    if unseen.any():
        _borrow(positions, result, part, unseen, known if known.any() else certainty > 0)
    assert result.shape == (count, 3)
    return Filled(np.clip(result, 0.0, 1.0), int(unseen.sum()))


def _graph(positions: NDArray[np.float32], triangles: NDArray[np.int32]) -> sp.csr_array:
    """Symmetric weights (V, V): one over the length of each edge, relative to the mean length."""
    ends = find_edges(triangles, len(positions)).ends
    lengths = np.linalg.norm(positions[ends[:, 0]].astype(np.float64) - positions[ends[:, 1]], axis=1)
    typical = float(lengths.mean()) if len(lengths) else 1.0
    weights = typical / np.maximum(lengths, 1e-3 * typical) if typical > 0 else np.ones(len(lengths))
    size = (len(positions), len(positions))
    half = sp.coo_array((weights, (ends[:, 0], ends[:, 1])), shape=size)
    return sp.csr_array(half + half.T)


def _solve(system: sp.csc_array, right: NDArray[np.float64]) -> NDArray[np.float64]:
    """A symmetric positive definite system, directly."""
    factors = spla.splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    return factors.solve(np.asarray(right, dtype=np.float64))


def _borrow(
    positions: NDArray[np.float32],
    colours: NDArray[np.float32],
    part: NDArray[np.int32],
    unseen: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> None:
    """Gives each unseen part the mean colour of the known vertices nearest to its own, in place."""
    alone = np.flatnonzero(unseen[part])
    if not known.any():
        colours[alone] = NEUTRAL
        return
    _, nearest = KDTree(positions[known]).query(positions[alone])
    borrowed = colours[known][nearest]
    members = np.bincount(part[alone], minlength=len(unseen))
    sums = np.stack([np.bincount(part[alone], borrowed[:, axis], len(unseen)) for axis in range(3)], axis=1)
    colours[alone] = (sums / np.maximum(members, 1)[:, None])[part[alone]]
