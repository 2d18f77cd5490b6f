"""The derived tables of FlexiCubes against the published counts, and against what must hold on a cube."""

from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np
import pytest

from kiss3d_backend.mesh.flexicubes.tables import CORNERS, DUAL_VERTICES, EDGES, LOOP_OF_EDGE, NEIGHBOUR_TO_ASK

PUBLISHED_DUAL_VERTICES = (
    "0111112112111111112121312221212112112221231122111111212122112111"
    "1222112123221111112111212221111123222221342222111111111122111121"
    "1222223212111111223232422221212112112221121111111111212111111211"
    "1222112112111111112111211112111112111112121111111111111111111110"
)
PUBLISHED_AMBIGUOUS = [
    61, 62, 91, 94, 103, 110, 111, 118, 122, 123, 124, 125, 155, 157, 159, 167, 173, 181,
    183, 185, 188, 190, 199, 203, 211, 215, 217, 218, 222, 227, 229, 230, 235, 237, 246, 249,
]  # fmt: skip
CUT_CONFIGURATIONS = range(1, 255)


def corner_number(place: np.ndarray) -> int:
    return int(np.flatnonzero((place == CORNERS).all(axis=1))[0])


def negative_corners(configuration: int) -> set[int]:
    return {corner for corner in range(8) if configuration >> corner & 1}


def regions(corners: set[int], joined: set[frozenset[int]]) -> int:
    """How many pieces ``corners`` fall into, where only pairs in ``joined`` hold together."""
    left, count = set(corners), 0
    while left:
        count += 1
        reached = [left.pop()]
        while reached:
            here = reached.pop()
            near = {corner for corner in left if frozenset((here, corner)) in joined}
            left -= near
            reached += near
    return count


def diagonals_of_alternating_faces(configuration: int) -> set[frozenset[int]]:
    """The positive corners of faces whose signs alternate: the surface leaves them together."""
    found = set()
    for one, other in combinations(set(range(8)) - negative_corners(configuration), 2):
        apart = np.abs(CORNERS[one] - CORNERS[other])
        if apart.sum() == 2:
            rest = [
                c
                for c in range(8)
                if c not in (one, other) and (CORNERS[c][apart == 0] == CORNERS[one][apart == 0]).all()
            ]
            if set(rest) <= negative_corners(configuration):
                found.add(frozenset((one, other)))
    return found


def test_the_counts_are_the_published_ones() -> None:
    assert "".join(map(str, DUAL_VERTICES)) == PUBLISHED_DUAL_VERTICES
    assert np.flatnonzero(NEIGHBOUR_TO_ASK.any(axis=1)).tolist() == PUBLISHED_AMBIGUOUS


def test_every_cut_edge_belongs_to_one_dual_vertex_and_no_other_edge_does() -> None:
    signs = np.array([[configuration >> corner & 1 for corner in range(8)] for configuration in range(256)])
    cut = signs[:, EDGES[:, 0]] != signs[:, EDGES[:, 1]]
    np.testing.assert_array_equal(cut, LOOP_OF_EDGE >= 0)
    for configuration in CUT_CONFIGURATIONS:
        used = set(LOOP_OF_EDGE[configuration]) - {-1}
        assert used == set(range(DUAL_VERTICES[configuration]))


def test_loops_part_the_cubes_skin_into_as_many_regions_as_the_signs_do() -> None:
    """A closed curve on a ball parts it in two: n loops make n + 1 regions, counted here from the corners alone."""
    along_edges = {frozenset(edge) for edge in EDGES.tolist()}
    for configuration in CUT_CONFIGURATIONS:
        negative = negative_corners(configuration)
        count = regions(negative, along_edges)
        count += regions(set(range(8)) - negative, along_edges | diagonals_of_alternating_faces(configuration))
        assert DUAL_VERTICES[configuration] == count - 1, configuration


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_turned_and_mirrored_cubes_have_turned_and_mirrored_loops(order: tuple[int, int, int]) -> None:
    numbered = {frozenset(edge): number for number, edge in enumerate(EDGES.tolist())}
    for flips in product((0, 1), repeat=3):
        moved = [corner_number(np.abs(place[list(order)] - flips)) for place in CORNERS]
        edges = [numbered[frozenset((moved[start], moved[end]))] for start, end in EDGES.tolist()]
        for configuration in CUT_CONFIGURATIONS:
            other = sum(1 << moved[corner] for corner in negative_corners(configuration))
            here = {frozenset(np.flatnonzero(LOOP_OF_EDGE[configuration] == loop)) for loop in range(4)}
            there = {frozenset(np.flatnonzero(LOOP_OF_EDGE[other][edges] == loop)) for loop in range(4)}
            assert here == there


def test_an_ambiguous_cell_asks_the_neighbour_behind_its_one_alternating_face_that_a_loop_runs_over_twice() -> None:
    for configuration in PUBLISHED_AMBIGUOUS:
        step = NEIGHBOUR_TO_ASK[configuration]
        assert np.abs(step).sum() == 1
        axis = int(np.flatnonzero(step)[0])
        face = set(np.flatnonzero(CORNERS[:, axis] == (step[axis] > 0)))
        on_face = [edge for edge in range(12) if set(EDGES[edge]) <= face]
        assert len(set(LOOP_OF_EDGE[configuration, on_face])) == 1
        assert (LOOP_OF_EDGE[configuration, on_face] >= 0).all(), "all four edges are cut"
        assert len(set(LOOP_OF_EDGE[255 - configuration, on_face])) == 2, "inverted, it joins the neighbour twice"
