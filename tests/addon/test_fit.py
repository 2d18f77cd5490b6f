"""A result in the frame of an object that is turned, scaled or mirrored."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from blender_addon.capture.arrays import CapturedMesh, transformed
from blender_addon.importer.arrays import MeshArrays, edges_of
from blender_addon.importer.fit import beside, fit_of, fitted

from kiss3d_protocol.errors import ParamsInvalid

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 4]], np.float32)
FACES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
TURNED = np.array([[0, -2, 0, 5], [3, 0, 0, 6], [0, 0, 0.5, 7], [0, 0, 0, 1]], float)
MIRRORED = TURNED @ np.diag([1, -1, 1, 1.0])


def sent(matrix: np.ndarray) -> CapturedMesh:
    """What is sent of an object at ``matrix``: turned and scaled as in the world, around its own origin."""
    positions, faces, _ = transformed(CORNERS, FACES, matrix[:3, :3])
    return CapturedMesh("corner", positions, faces)


def standing(mesh: CapturedMesh) -> MeshArrays:
    """The same mesh as a result: its base's middle on the origin, its own corners as UVs."""
    low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
    base = np.array((*((low + high) / 2)[:2], low[2]), np.float32)
    corners = mesh.triangles.reshape(-1)
    return MeshArrays(mesh.positions - base, corners, mesh.positions[corners][:, :2])


@pytest.mark.parametrize("matrix", [np.eye(4), TURNED, MIRRORED])
def test_what_comes_back_unchanged_lies_where_it_was(matrix: np.ndarray) -> None:
    captured = sent(matrix)
    back = fitted(standing(captured), fit_of(captured, matrix))
    assert np.allclose(back.positions, CORNERS, atol=1e-5)
    triangles = back.positions[back.corners.reshape(-1, 3)].astype(float)
    assert np.isclose(np.linalg.det(triangles).sum() / 6, 8 / 6), "right side out in its own frame, mirrored or not"
    assert back.corner_uvs is not None
    assert np.allclose(back.corner_uvs, captured.positions[back.corners][:, :2]), "UVs go with their corners"


def test_edges_stay_only_while_their_corners_do() -> None:
    for matrix, kept in ((TURNED, True), (MIRRORED, False)):
        captured = sent(matrix)
        came = standing(captured)
        back = fitted(evolve(came, edges=edges_of(came.corners)), fit_of(captured, matrix))
        assert (back.edges is not None) == kept


def test_size_and_gap_are_those_of_the_world() -> None:
    captured = sent(TURNED)
    fit = fit_of(captured, TURNED)
    assert fit.size == 4, "2 * 2 along x, 1 * 3 along y, 4 / 2 upwards"
    moved = beside(fit, captured)
    assert np.allclose(np.array(moved.matrix) - fit.matrix, [[0, 0, 0, 1.25 * 4], [0] * 4, [0] * 4, [0] * 4])
    assert (moved.base, moved.size) == (fit.base, fit.size)


@pytest.mark.parametrize("scale", [(1, 0, 1), (0, 0, 0)])
def test_an_object_scaled_to_nothing_is_refused(scale: tuple[float, ...]) -> None:
    flat = TURNED @ np.diag([*scale, 1.0])
    with pytest.raises(ParamsInvalid, match="scaled to nothing"):
        fit_of(sent(flat), flat)
