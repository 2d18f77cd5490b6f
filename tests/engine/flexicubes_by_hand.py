"""FlexiCubes once more, cell by cell and quad by quad in float64, straight from its definition and slow.

Patches are found here from the regions of a cell's skin, not from loops of arcs.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

CORNERS = [(bit & 1, bit >> 1 & 1, bit >> 2 & 1) for bit in range(8)]
EDGES = [(0, 1), (1, 5), (4, 5), (0, 4), (2, 3), (3, 7), (6, 7), (2, 6), (2, 0), (3, 1), (7, 5), (6, 4)]
Cell = tuple[int, int, int]


def _faces() -> list[tuple[tuple[int, int, int], list[int]]]:
    """Steps out of the cell, and the corners of the face there."""
    found = []
    for axis, side in product(range(3), range(2)):
        step = [0, 0, 0]
        step[axis] = 2 * side - 1
        found.append((tuple(step), [corner for corner in range(8) if CORNERS[corner][axis] == side]))
    return found


FACES = _faces()


def _alternating(negative: set[int], face: list[int]) -> bool:
    inside = [corner for corner in face if corner in negative]
    return len(inside) == 2 and frozenset(inside) not in {frozenset(edge) for edge in EDGES}


def patches(negative: set[int]) -> list[set[int]]:
    """Sets of cut edges. A patch lies between one region of negative corners and one of positive ones."""
    links: list[set[int]] = [set(edge) for edge in EDGES if (edge[0] in negative) == (edge[1] in negative)]
    links += [set(face) - negative for _, face in FACES if _alternating(negative, face)]
    region = list(range(8))
    for link in links:
        merged = min(region[corner] for corner in link)
        olds = {region[corner] for corner in link}
        region = [merged if each in olds else each for each in region]
    between: dict[frozenset[int], set[int]] = {}
    for number, (start, end) in enumerate(EDGES):
        if (start in negative) != (end in negative):
            between.setdefault(frozenset((region[start], region[end])), set()).add(number)
    lower = {0, 4, 8, 9}
    return sorted(between.values(), key=lambda patch: min((edge not in lower, edge) for edge in patch))


def ambiguous_steps(negative: set[int]) -> list[Cell]:
    """Out of the faces whose four edges are all in one patch."""
    steps = []
    for step, face in FACES:
        edges = {number for number, edge in enumerate(EDGES) if set(edge) <= set(face)}
        if _alternating(negative, face) and any(edges <= patch for patch in patches(negative)):
            steps.append(step)
    return steps


def surface(
    positions: NDArray[np.float64], values: NDArray[np.float64], resolution: int, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Vertices, triangles, of which each two in a row are a quad, and how sure the diagonal of each quad is: the
    difference of the two products that choose it, in parts of their mean. At 0 both are as good."""
    side = resolution + 1

    def vertex(x: int, y: int, z: int) -> int:
        return (x * side + y) * side + z

    cells = list(product(range(resolution), repeat=3))
    corners = {cell: [vertex(*np.add(cell, corner)) for corner in CORNERS] for cell in cells}
    signs = {cell: {corner for corner in range(8) if values[corners[cell][corner]] < 0} for cell in cells}
    used = dict(signs)
    for cell, negative in signs.items():
        for step in ambiguous_steps(negative):
            neighbour = tuple(int(each) for each in np.add(cell, step))
            if neighbour in signs and ambiguous_steps(signs[neighbour]):
                used[cell] = set(range(8)) - negative
    shaped = {cell: patches(negative) for cell, negative in used.items()}

    beta = 1 + 0.5 * np.tanh(weights[:, :12])
    alpha = 1 + 0.5 * np.tanh(weights[:, 12:20])
    gamma = 0.5 / (1 + np.exp(-weights[:, 20])) + 0.25
    vertices, owner, dual = [], [], {}
    for count in range(1, 5):
        for row, cell in enumerate(cells):
            if len(shaped[cell]) != count:
                continue
            for patch in shaped[cell]:
                total, weight = np.zeros(3), 0.0
                for edge in patch:
                    (start, end), at = EDGES[edge], corners[cell]
                    low, high = values[at[start]] * alpha[row, start], values[at[end]] * alpha[row, end]
                    share = low / (low - high)
                    crossing = positions[at[start]] * (1 - share) + positions[at[end]] * share
                    total += beta[row, edge] * crossing
                    weight += beta[row, edge]
                    dual[cell, edge] = len(vertices)
                vertices.append(total / weight)
                owner.append(row)

    around: dict[tuple[int, int], list[int]] = {}
    for cell in cells:
        for number, (start, end) in enumerate(EDGES):
            if (cell, number) in dual:
                around.setdefault((corners[cell][start], corners[cell][end]), []).append(dual[cell, number])
    faces, sure = {True: [], False: []}, {True: [], False: []}
    for (start, _), quad in sorted(around.items()):
        if len(quad) < 4:
            continue
        opens = bool(values[start] > 0)
        a, b, c, d = (quad[index] for index in ([0, 1, 3, 2] if opens else [2, 3, 1, 0]))
        one, other = gamma[owner[a]] * gamma[owner[c]], gamma[owner[b]] * gamma[owner[d]]
        faces[opens] += [(a, b, c), (a, c, d)] if one > other else [(a, b, d), (d, b, c)]
        sure[opens].append(2 * abs(one - other) / (one + other))
    return np.array(vertices), np.array(faces[True] + faces[False]), np.array(sure[True] + sure[False])
