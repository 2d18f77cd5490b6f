"""Meshes from the wire as arrays: what Blender relies on."""

from __future__ import annotations

import numpy as np
from blender_addon.importer.arrays import edges_of, read_mesh
from tests.fakes.meshes import sphere


def test_every_edge_is_there_once_and_every_corner_has_the_one_to_the_next() -> None:
    arrays = read_mesh(*sphere(24, 16).message(), 1.0, with_edges=True)
    edges = arrays.edges
    assert edges is not None
    pairs = [tuple(sorted(pair)) for pair in edges.vertices.tolist()]
    assert len(set(pairs)) == len(pairs) == 3 * arrays.triangle_count // 2, "a closed surface"
    faces = arrays.corners.reshape(-1, 3)
    for of_face, face in zip(edges.of_corners.reshape(-1, 3).tolist(), faces.tolist(), strict=True):
        assert [pairs[edge] for edge in of_face] == [tuple(sorted((face[i], face[(i + 1) % 3]))) for i in range(3)]
    assert edges.vertices.dtype == edges.of_corners.dtype == np.int32


def test_edges_of_an_open_surface_and_of_many_vertices() -> None:
    last = 2**31 - 1
    edges = edges_of(np.array([0, 1, last, 1, 0, 7], np.int32))
    assert edges.vertices.tolist() == [[0, 1], [0, 7], [0, last], [1, 7], [1, last]]
    assert edges.of_corners.tolist() == [0, 4, 2, 0, 1, 3]


def test_edges_are_left_to_blender_unless_they_are_asked_for() -> None:
    assert read_mesh(*sphere(8, 6).message(), 1.0).edges is None
