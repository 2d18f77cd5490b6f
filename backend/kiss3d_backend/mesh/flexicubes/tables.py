"""The dual vertices of a cell, derived for each of the 256 configurations of its corners' signs.

Dual Marching Cubes (Nielson, "Dual Marching Cubes", 2004) puts one vertex on each patch of the Marching Cubes surface
in a cell. A patch's border is a closed loop of arcs on the faces of the cell, each from one cut edge to another. On a
face whose signs alternate (four cut edges) the arcs cut off its negative corners, so that neighbours agree.

In a few configurations one loop runs over both arcs of such a face. Two such cells side by side would be joined twice,
which is no surface; the published rule (arXiv 2308.05371, supplement 1.3) is to take both with signs inverted, which
cuts off the positive corners of that face instead.
"""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

CORNERS: NDArray[np.int64] = np.array([(bit & 1, bit >> 1 & 1, bit >> 2 & 1) for bit in range(8)])
"""(8, 3): x, y, z of the corners. A configuration's bit i says that corner i has a negative value."""

EDGES: NDArray[np.int64] = np.array(
    [(0, 1), (1, 5), (4, 5), (0, 4), (2, 3), (3, 7), (6, 7), (2, 6), (2, 0), (3, 1), (7, 5), (6, 4)]
)
"""(12, 2): the corners of the edges, in the order of the published weights. Edges along y run downwards."""

CONFIGURATIONS = 256
MOST_DUAL_VERTICES = 4

_FACES = [
    (axis, side, tuple(int(corner) for corner in np.flatnonzero(CORNERS[:, axis] == side)))
    for axis, side in product(range(3), range(2))
]
_FACE_EDGES = [[edge for edge in range(12) if set(EDGES[edge]) <= set(corners)] for _, _, corners in _FACES]


def _is_negative(configuration: int, corner: int) -> bool:
    return bool(configuration >> corner & 1)


@cache
def _cut_edges(configuration: int) -> list[int]:
    return [
        edge
        for edge, (start, end) in enumerate(EDGES.tolist())
        if _is_negative(configuration, start) != _is_negative(configuration, end)
    ]


@cache
def _arcs(configuration: int, face: int) -> list[tuple[int, int]]:
    """Pairs of edges that the surface joins on a face."""
    cut = [edge for edge in _FACE_EDGES[face] if edge in _cut_edges(configuration)]
    if len(cut) < 4:
        return [(cut[0], cut[1])] if cut else []
    negative = [corner for corner in _FACES[face][2] if _is_negative(configuration, corner)]
    around = [[edge for edge in cut if corner in EDGES[edge]] for corner in negative]
    return [(first, second) for first, second in around]


def _loops(configuration: int) -> list[set[int]]:
    """The cut edges of each patch, in the order in which the published tables number the dual vertices.

    Patches that reach the cell's lower face (z = 0) come first; otherwise the one with the lowest edge does.
    """
    loops = [{edge} for edge in _cut_edges(configuration)]
    for face in range(6):
        for first, second in _arcs(configuration, face):
            one, other = (next(loop for loop in loops if edge in loop) for edge in (first, second))
            if one is not other:
                one |= other
                loops.remove(other)
    lower = {edge for edge in range(12) if not CORNERS[EDGES[edge], 2].any()}
    return sorted(loops, key=lambda loop: min((edge not in lower, edge) for edge in loop))


def _loop_of_edge() -> NDArray[np.int64]:
    table = np.full((CONFIGURATIONS, 12), -1)
    for configuration in range(CONFIGURATIONS):
        for number, loop in enumerate(_loops(configuration)):
            table[configuration, list(loop)] = number
    return table


def _neighbour_to_ask() -> NDArray[np.int64]:
    table = np.zeros((CONFIGURATIONS, 3), dtype=np.int64)
    for configuration in range(CONFIGURATIONS):
        for face, (axis, side, _) in enumerate(_FACES):
            arcs = _arcs(configuration, face)
            if len(arcs) == 2 and len(set(LOOP_OF_EDGE[configuration, list(arcs[0] + arcs[1])])) == 1:
                table[configuration, axis] = 2 * side - 1
    return table


LOOP_OF_EDGE: NDArray[np.int64] = _loop_of_edge()
"""(256, 12): the dual vertex, from 0, that an edge's crossing belongs to; -1 for an edge that is not cut."""

DUAL_VERTICES: NDArray[np.int64] = LOOP_OF_EDGE.max(axis=1) + 1
"""(256,): how many dual vertices a cell has, 0 to 4."""

NEIGHBOUR_TO_ASK: NDArray[np.int64] = _neighbour_to_ask()
"""(256, 3): for the ambiguous configurations, the step to the cell behind the face on which one loop has two arcs
(there is one such face); zeros for all others."""
