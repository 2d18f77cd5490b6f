"""Edges and neighbours, against a dictionary of sides."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kiss3d_backend.mesh.edges import face_neighbours, find_edges, is_closed

TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]], dtype=np.int32)


@st.composite
def triangle_soups(draw: st.DrawFn) -> NDArray[np.int32]:
    vertices = draw(st.integers(1, 9))
    corners = st.lists(st.integers(0, vertices - 1), min_size=3, max_size=3)
    return np.array(draw(st.lists(corners, max_size=30)), dtype=np.int32).reshape(-1, 3)


def _sides(triangles: NDArray[np.int32]) -> dict[tuple[int, int], list[int]]:
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for side in range(3 * len(triangles)):
        face, corner = divmod(side, 3)
        a, b = int(triangles[face, corner]), int(triangles[face, (corner + 1) % 3])
        found[min(a, b), max(a, b)].append(side)
    return dict(sorted(found.items()))


@pytest.mark.parametrize("vertices", [9, 2**31 - 1])
@given(triangles=triangle_soups())
def test_edges_are_those_of_a_dictionary(vertices: int, triangles: NDArray[np.int32]) -> None:
    expected = _sides(triangles)
    edges = find_edges(triangles, vertices)
    assert [tuple(ends) for ends in edges.ends.tolist()] == list(expected)
    assert edges.uses.tolist() == [len(sides) for sides in expected.values()]
    for edge, sides in enumerate(expected.values()):
        assert edges.faces[edge].tolist() == [sides[0] // 3, sides[1] // 3 if len(sides) > 1 else -1]
        for side in sides:
            assert edges.of_face.ravel()[side] == edge
            across = sides[1 - sides.index(side)] if len(sides) == 2 else -1
            assert edges.opposite.ravel()[side] == across
    assert all(array.dtype == np.int32 for array in (edges.ends, edges.uses, edges.faces, edges.of_face))


@given(triangle_soups())
def test_tensors_give_the_same(triangles: NDArray[np.int32]) -> None:
    torch = pytest.importorskip("torch")
    for made, expected in zip(
        vars_of(find_edges(torch.from_numpy(triangles), 9)), vars_of(find_edges(triangles, 9)), strict=True
    ):
        assert made.dtype == torch.int32
        np.testing.assert_array_equal(made.numpy(), expected)


def vars_of(edges) -> tuple:
    return edges.ends, edges.uses, edges.faces, edges.of_face, edges.opposite


def test_neighbours_of_a_tetrahedron() -> None:
    assert sorted(face_neighbours(TETRAHEDRON, 4)[0].tolist()) == [1, 2, 3]


def test_closed_means_two_triangles_that_face_the_same_way() -> None:
    assert is_closed(TETRAHEDRON, 4)
    assert not is_closed(TETRAHEDRON[1:], 4)
    turned = TETRAHEDRON.copy()
    turned[0] = turned[0, ::-1]
    assert not is_closed(turned, 4)
    assert not is_closed(np.concatenate([TETRAHEDRON, TETRAHEDRON]), 4)


def test_keys_of_many_vertices_do_not_overflow() -> None:
    triangles = np.array([[0, 2**31 - 3, 2**31 - 2]], dtype=np.int32)
    edges = find_edges(triangles, 2**31 - 1)
    assert edges.ends.tolist() == [[0, 2**31 - 3], [0, 2**31 - 2], [2**31 - 3, 2**31 - 2]]
