"""The Poisson equation inside an outline that runs between the nodes of a grid."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

_SHORTEST_ARM = 0.02
_AXES = (((0, -1), (0, 1)), ((-1, 0), (1, 0)))
_NEIGHBOURS = tuple(side for axis in _AXES for side in axis)


def solve_inside(level: NDArray[np.float32], source: float) -> NDArray[np.float64]:
    """Solves -div grad u = ``source`` where ``level`` is above zero, with u = 0 on the outline.

    ``level``: (R, C); the outline is where its linear interpolation between nodes is zero, and must not reach the
    border. Lengths are in cells. Returns u, (R, C) float64, zero outside. The discretisation is that of Shortley and
    Weller (1938), whose arms end on the outline: it is exact for a disc.
    """
    inside = level > 0
    index = np.full(level.shape, -1, dtype=np.int64)
    count = int(inside.sum())
    index[inside] = np.arange(count)
    rows, columns = np.nonzero(inside)
    here = level[rows, columns].astype(np.float64)
    diagonal = np.zeros(count)
    entries = []
    for axis in _AXES:
        neighbours, arms = [], []
        for down, right in axis:
            neighbour = index[rows + down, columns + right]
            outside = neighbour < 0
            there = level[rows + down, columns + right].astype(np.float64)
            arm = np.ones(count)
            arm[outside] = np.maximum(here[outside] / (here[outside] - there[outside]), _SHORTEST_ARM)
            neighbours.append(neighbour)
            arms.append(arm)
        for neighbour, arm in zip(neighbours, arms, strict=True):
            weight = 2.0 / (arm * (arms[0] + arms[1]))
            diagonal += weight
            linked = np.flatnonzero(neighbour >= 0)
            entries.append((linked, neighbour[linked], -weight[linked]))
    row = np.concatenate([np.arange(count), *(part[0] for part in entries)])
    column = np.concatenate([np.arange(count), *(part[1] for part in entries)])
    value = np.concatenate([diagonal, *(part[2] for part in entries)])
    matrix = scipy.sparse.csc_array((value, (row, column)), shape=(count, count))
    solution = np.zeros(level.shape)
    solver = scipy.sparse.linalg.splu(matrix, permc_spec="MMD_AT_PLUS_A")
    solution[inside] = solver.solve(np.full(count, source))
    return solution


def fill_between(
    values: NDArray[np.float32],
    known: NDArray[np.bool_],
    unknown: NDArray[np.bool_],
    across: float,
) -> NDArray[np.float32]:
    """The membrane that ``known`` values span over the ``unknown`` nodes (the Laplace equation).

    ``values``: (R, C, K). ``known``, ``unknown``: (R, C), disjoint; nodes of neither are walls that nothing flows
    through. ``across``: how much more easily values spread along rows than along columns. Returns (R, C, K)
    float32, equal to ``values`` outside ``unknown``. An unknown node that no known one can reach keeps its value.
    """
    index = np.full(known.shape, -1, dtype=np.int64)
    count = int(unknown.sum())
    index[unknown] = np.arange(count)
    padded_index = np.pad(index, 1, constant_values=-1)
    padded_known = np.pad(known, 1)
    padded_values = np.pad(values.astype(np.float64), ((1, 1), (1, 1), (0, 0)))
    rows, columns = (axis + 1 for axis in np.nonzero(unknown))
    # A touch of its own value keeps the matrix regular where nothing known is in reach.
    own = 1e-9
    diagonal = np.full(count, own)
    right_side = own * values[unknown].astype(np.float64)
    entries = []
    for down, right in _NEIGHBOURS:
        weight = across if right else 1.0
        neighbour = padded_index[rows + down, columns + right]
        is_known = padded_known[rows + down, columns + right]
        diagonal += weight * ((neighbour >= 0) | is_known)
        right_side += weight * is_known[:, None] * padded_values[rows + down, columns + right]
        linked = np.flatnonzero(neighbour >= 0)
        entries.append((linked, neighbour[linked], np.full(len(linked), -weight)))
    row = np.concatenate([np.arange(count), *(part[0] for part in entries)])
    column = np.concatenate([np.arange(count), *(part[1] for part in entries)])
    value = np.concatenate([diagonal, *(part[2] for part in entries)])
    matrix = scipy.sparse.csc_array((value, (row, column)), shape=(count, count))
    result = values.astype(np.float32).copy()
    if count:
        solver = scipy.sparse.linalg.splu(matrix, permc_spec="MMD_AT_PLUS_A")
        result[unknown] = solver.solve(right_side)
    return result
