"""Continuous remeshing: closed and manifold after every round, lengths near their targets, the surface where it was."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.mesh.shapes import assert_closed, components, euler, volume

from kiss3d_backend.mesh.edges import is_closed
from kiss3d_backend.mesh.remesh.half_edges import connect
from kiss3d_backend.mesh.remesh.remesh import WorkingMesh, remesh

SOLIDS = {
    "icosphere": lambda: trimesh.creation.icosphere(subdivisions=2, radius=0.5),
    "box": lambda: trimesh.creation.box((1.0, 0.6, 0.3)),
    "torus": lambda: trimesh.creation.torus(0.35, 0.1),
    "tetrahedron": lambda: trimesh.Trimesh(
        [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], [[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]]
    ),
    "needle": lambda: trimesh.creation.cylinder(0.01, 1.0, sections=5),
    "plate": lambda: trimesh.creation.box((1.0, 1.0, 0.001)),
    "two parts": lambda: trimesh.util.concatenate(
        [trimesh.creation.icosphere(1), trimesh.creation.box((0.4, 0.5, 0.6)).apply_translation((2, 0, 0))]
    ),
}


def _solid(name: str) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    made = SOLIDS[name]()
    return np.asarray(made.vertices, np.float32), np.asarray(made.faces, np.int32)


def _assert_manifold(mesh: WorkingMesh) -> None:
    assert_closed(mesh.vertices[:, :3], mesh.triangles)
    np.testing.assert_array_equal(mesh.twins, connect(mesh.triangles, len(mesh.vertices)))
    # One fan around each vertex: as many of them as corners when the corners are cut off along the edges.
    corners = 3 * len(mesh.triangles)
    around = np.arange(corners) // 3 * 3 + (np.arange(corners) + 2) % 3
    following = mesh.twins[around]
    links = np.stack([np.arange(corners), following, following], axis=1)
    assert components(corners, links) == len(mesh.vertices)
    assert mesh.triangles.dtype == np.int32
    assert mesh.vertices.dtype == np.float32
    assert mesh.targets.shape == (len(mesh.vertices),)


def _lengths(mesh: WorkingMesh) -> NDArray[np.float32]:
    return np.linalg.norm(
        mesh.vertices[mesh.triangles[:, [1, 2, 0]], :3] - mesh.vertices[mesh.triangles, :3], axis=2
    ).ravel()


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(SOLIDS)),
    st.lists(st.floats(0.03, 2.0), min_size=1, max_size=5),
    st.floats(0.0, 0.3),
    st.integers(0, 2**32 - 1),
)
def test_stays_closed_and_manifold(name: str, lengths: list[float], noise: float, seed: int) -> None:
    """Also when vertices are thrown about between the rounds, as an optimiser may do, and targets vary."""
    generator = np.random.default_rng(seed)
    positions, triangles = _solid(name)
    mesh = WorkingMesh.of(positions, triangles, 1.0)
    genus, parts = euler(positions, triangles), components(len(positions), triangles)
    for length in lengths:
        moved = mesh.vertices + noise * length * generator.standard_normal(mesh.vertices.shape)
        wanted = length * generator.uniform(0.5, 2.0, len(moved))
        mesh = WorkingMesh(moved.astype(np.float32), mesh.triangles, mesh.twins, wanted.astype(np.float32))
        mesh = remesh(mesh, most_faces=30_000)
        _assert_manifold(mesh)
        assert euler(mesh.vertices, mesh.triangles) == genus
        assert components(len(mesh.vertices), mesh.triangles) == parts
        assert len(mesh.triangles) <= max(30_000, len(triangles))


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 7), min_size=3, max_size=3), max_size=24), st.integers(0, 2**32 - 1))
def test_what_is_not_manifold_is_left_alone(corners: list[list[int]], seed: int) -> None:
    """Any soup of triangles ends without an error, and gets no new border or edge of three triangles."""
    triangles = np.array(corners, dtype=np.int32).reshape(-1, 3)
    positions = np.random.default_rng(seed).random((8, 3)).astype(np.float32)
    before = WorkingMesh.of(positions, triangles, 0.2)
    after = remesh(before, rounds=3)
    assert (after.twins < 0).sum() == (before.twins < 0).sum()
    assert len(after.triangles) == 0 or after.triangles.max() < len(after.vertices)
    used = after.twins >= 0
    np.testing.assert_array_equal(after.twins[after.twins[used]], np.flatnonzero(used))


@pytest.mark.parametrize("name", ["icosphere", "box", "torus", "two parts"])
@pytest.mark.parametrize("length", [0.03, 0.05])
def test_lengths_come_near_their_target_on_the_same_surface(name: str, length: float) -> None:
    positions, triangles = _solid(name)
    mesh = remesh(WorkingMesh.of(positions, triangles, length), rounds=12)
    lengths = _lengths(mesh)
    assert 0.9 < lengths.mean() / length < 1.1
    assert (lengths < 1.6 * length).all()
    assert np.quantile(lengths, 0.01) > 0.3 * length
    before, after = volume(positions, triangles), volume(mesh.vertices[:, :3], mesh.triangles)
    assert abs(after - before) < 0.08 * before


def test_targets_vary_over_the_surface() -> None:
    positions, triangles = _solid("icosphere")
    mesh = WorkingMesh.of(positions, triangles, 0.1)
    for _ in range(12):
        wanted = np.where(mesh.vertices[:, 1] > 0, 0.02, 0.08).astype(np.float32)
        mesh = remesh(WorkingMesh(mesh.vertices, mesh.triangles, mesh.twins, wanted))
    middles = mesh.vertices[mesh.triangles, 1].mean(axis=1).repeat(3)
    lengths = _lengths(mesh)
    assert 0.017 < lengths[middles > 0.1].mean() < 0.023
    assert 0.068 < lengths[middles < -0.1].mean() < 0.092


def test_carries_values_along() -> None:
    """What is linear in the position stays so: split and collapse take means."""
    positions, triangles = _solid("torus")
    matrix = np.random.default_rng(3).random((3, 5)).astype(np.float32)
    mesh = WorkingMesh.of(np.concatenate([positions, positions @ matrix], axis=1), triangles, 0.03)
    mesh = remesh(remesh(mesh, rounds=3), rounds=2)
    np.testing.assert_allclose(mesh.vertices[:, 3:], mesh.vertices[:, :3] @ matrix, atol=1e-5)


def test_flat_faces_stay_flat_and_edges_sharp() -> None:
    positions, triangles = _solid("box")
    mesh = remesh(WorkingMesh.of(positions, triangles, 0.05), rounds=1)
    for _ in range(6):
        mesh = remesh(mesh)
    assert volume(mesh.vertices, mesh.triangles) > 0.97 * volume(positions, triangles)


def test_same_input_gives_the_same_mesh() -> None:
    positions, triangles = _solid("torus")
    one, other = (remesh(WorkingMesh.of(positions, triangles, 0.04), rounds=3) for _ in range(2))
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.triangles, other.triangles)


def test_input_stays_as_it_was() -> None:
    positions, triangles = _solid("torus")
    mesh = WorkingMesh.of(positions, triangles, 0.03)
    vertices, corners, twins = mesh.vertices.copy(), mesh.triangles.copy(), mesh.twins.copy()
    remesh(mesh)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.triangles, corners)
    np.testing.assert_array_equal(mesh.twins, twins)


@pytest.mark.parametrize("length", [0.0, -1.0, float("nan"), float("inf")])
def test_refuses_impossible_lengths(length: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        WorkingMesh.of(*_solid("box"), length)


def test_an_open_mesh_keeps_its_border() -> None:
    positions, triangles = _solid("icosphere")
    opened = triangles[5:]
    before = WorkingMesh.of(positions, opened, 0.05)
    after = remesh(before, rounds=3)
    assert not is_closed(after.triangles, len(after.vertices))
    assert len(after.triangles) > len(opened)
    border = before.vertices[np.unique(opened.ravel()[before.twins < 0])]
    assert {tuple(point) for point in border.tolist()} <= {tuple(point) for point in after.vertices.tolist()}
