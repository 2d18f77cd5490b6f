"""Decimation: the number of faces, and what stays of the shape."""

from __future__ import annotations

import numpy as np
import pytest
from tests.mesh.balls import faceted_ball
from tests.mesh.shapes import assert_closed, volume
from tests.mesh.solids import solid

from kiss3d_backend.mesh.cleanup import clean
from kiss3d_backend.mesh.simplify import lod_chain, simplify


@pytest.mark.parametrize("name", ["mug", "character"])
@pytest.mark.parametrize("faces", [2000, 500])
def test_the_number_is_met_and_the_shape_kept(name: str, faces: int) -> None:
    mesh = solid(name, 48)
    full = clean(mesh.positions, mesh.triangles)
    result = simplify(full.positions, full.triangles, faces)
    assert abs(len(result.triangles) - faces) <= 0.02 * faces
    assert result.on_target
    assert_closed(result.positions, result.triangles)
    assert volume(result.positions, result.triangles) == pytest.approx(volume(full.positions, full.triangles), rel=0.05)


def test_fewer_faces_than_asked_for_stay_as_they_are() -> None:
    ball = faceted_ball(12, 6)
    result = simplify(ball.positions, ball.triangles, 5000)
    np.testing.assert_array_equal(result.triangles, ball.triangles)
    assert not result.repaired


def test_what_cannot_be_met_is_told() -> None:
    """Of three tetrahedra nothing is left between eight and twelve faces."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    positions = np.concatenate([corners + np.float32((3 * place, 0, 0)) for place in range(3)]).astype(np.float32)
    triangles = np.concatenate([faces + 4 * place for place in range(3)])
    result = simplify(positions, triangles, 10)
    assert not result.on_target
    assert_closed(result.positions, result.triangles)


def test_levels_of_detail_get_ever_smaller() -> None:
    ball = faceted_ball(64, 32)
    chain = lod_chain(ball.positions, ball.triangles, [2000, 800, 200])
    for level, count in zip(chain, (2000, 800, 200), strict=True):
        assert abs(len(level.triangles) - count) <= 0.02 * count
    with pytest.raises(ValueError, match="ever fewer"):
        lod_chain(ball.positions, ball.triangles, [200, 800])
    with pytest.raises(ValueError, match="at least 4"):
        simplify(ball.positions, ball.triangles, 3)
