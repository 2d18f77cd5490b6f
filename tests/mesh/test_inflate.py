"""Silhouettes blown up: always closed, one piece, the right way out; measured against a sphere."""

from __future__ import annotations

import numpy as np
import pytest
from tests.mesh.shapes import SHAPES, SIDE, assert_closed, components, disc, euler, letter_b, ring, volume

from kiss3d_backend.mesh.inflate import inflate
from kiss3d_backend.mesh.relax import relax
from kiss3d_backend.mesh.silhouette import silhouette_grid


def blown_up(matte: np.ndarray, cells: int, rounds: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Positions in pixels of the matte (y up) and triangles."""
    grid = silhouette_grid(matte, cells)
    body = inflate(grid)
    positions = relax(body, rounds) * grid.step + (grid.left, grid.top, 0.0)
    return positions * (1, -1, 1), body.triangles


@pytest.mark.parametrize("cells", [24, 61])
@pytest.mark.parametrize("name", list(SHAPES))
def test_every_silhouette_closes(name: str, cells: int) -> None:
    positions, triangles = blown_up(SHAPES[name](), cells)
    assert_closed(positions, triangles)
    assert components(len(positions), triangles) == 1
    assert volume(positions, triangles) > 0


@pytest.mark.parametrize("seed", range(6))
def test_random_blobs_close(seed: int) -> None:
    import scipy.ndimage as ndi

    noise = ndi.gaussian_filter(np.random.default_rng(seed).standard_normal((SIDE, SIDE)), 1.5 + seed)
    positions, triangles = blown_up((noise > 0).astype(np.float32), 80, rounds=2)
    assert_closed(positions, triangles)
    assert components(len(positions), triangles) == 1


def test_a_disc_becomes_a_ball() -> None:
    positions, triangles = blown_up(disc(100.0), 50, rounds=4)
    centre = (SIDE / 2 - 0.5, -(SIDE / 2 - 0.5), 0.0)
    distance = np.linalg.norm(positions - centre, axis=1)
    assert abs(distance.mean() - 100.0) < 0.3
    assert distance.std() < 0.05
    assert volume(positions, triangles) == pytest.approx(4 / 3 * np.pi * 100**3, rel=0.01)


def test_a_limb_is_thinner_than_the_body() -> None:
    matte = disc(60.0)
    matte[122:134, 128:250] = 1.0
    positions, _ = blown_up(matte, 80)
    body = positions[np.abs(positions[:, 0] - 128) < 10, 2].max()
    limb = positions[np.abs(positions[:, 0] - 225) < 10, 2].max()
    assert body > 50
    assert 5 < limb < 11


def test_openings_survive() -> None:
    assert euler(*blown_up(ring(), 48)) == 0
    assert euler(*blown_up(letter_b(), 48)) == -2


def test_front_and_back_are_mirror_images_that_meet_at_the_outline() -> None:
    positions, triangles = blown_up(letter_b(), 48)
    on_plane = positions[:, 2] == 0
    front = positions[positions[:, 2] > 0]
    back = positions[positions[:, 2] < 0] * (1, 1, -1)
    np.testing.assert_allclose(front[np.lexsort(front.T)], back[np.lexsort(back.T)], atol=1e-9)
    sides = np.sign(positions[triangles, 2])
    assert not ((sides.min(axis=1) < 0) & (sides.max(axis=1) > 0)).any()
    assert on_plane.sum() > 100


def test_the_outline_has_no_stairs() -> None:
    """A slanted edge, sharp in the picture, stays straight to a small part of a pixel."""
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    slanted = 0.8 * (x - 128) + 0.6 * (y - 128)
    along = -0.6 * (x - 128) + 0.8 * (y - 128)
    matte = ((np.abs(slanted) < 50) & (np.abs(along) < 100)).astype(np.float32)
    positions, _ = blown_up(matte, 60)
    rim = positions[positions[:, 2] == 0]
    edge = 0.8 * (rim[:, 0] - 128) + 0.6 * (-rim[:, 1] - 128)
    middle = np.abs(-0.6 * (rim[:, 0] - 128) + 0.8 * (-rim[:, 1] - 128)) < 70
    assert np.abs(np.abs(edge[middle]) - 50).max() < 0.6
    assert np.abs(edge[middle & (edge > 0)]).std() < 0.2


def test_triangles_are_well_shaped() -> None:
    positions, triangles = blown_up(SHAPES["star"](), 70, rounds=4)
    corners = positions[triangles]
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    quality = 4 * np.sqrt(3) * area / (sides**2).sum(axis=1)
    assert np.quantile(quality, 0.01) > 0.5
    assert np.median(quality) > 0.85


def test_an_empty_matte_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        silhouette_grid(np.zeros((64, 64), dtype=np.float32), 32)
