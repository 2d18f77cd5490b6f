"""The clean-up: whatever goes in, what comes out is closed, manifold and faces outwards."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mesh.balls import faceted_ball
from tests.mesh.shapes import assert_closed, components, volume

from kiss3d_backend.mesh.cleanup import Cleaned, CleanUp, clean
from kiss3d_backend.mesh.cleanup.smooth import smooth
from kiss3d_protocol.errors import MeshEmpty

BALL = faceted_ball(24, 12)
POSITIONS, TRIANGLES = BALL.positions, BALL.triangles
VOLUME = volume(POSITIONS, TRIANGLES)


def assert_clean(cleaned: Cleaned) -> None:
    """Also when another library merges vertices by their positions."""
    assert cleaned.closed
    assert_closed(cleaned.positions, cleaned.triangles)
    assert len(np.unique(cleaned.positions, axis=0)) == len(cleaned.positions)
    assert volume(cleaned.positions, cleaned.triangles) > 0
    merged = trimesh.Trimesh(cleaned.positions, cleaned.triangles)
    assert merged.is_watertight and merged.is_winding_consistent
    assert len(merged.faces) == len(cleaned.triangles)


def cubes(*offsets: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    box = trimesh.creation.box()
    positions = np.concatenate([box.vertices + offset for offset in offsets]).astype(np.float32)
    triangles = np.concatenate([box.faces + 8 * place for place in range(len(offsets))]).astype(np.int32)
    return positions, triangles


def test_a_clean_mesh_stays_as_it_is() -> None:
    cleaned = clean(POSITIONS, TRIANGLES)
    assert_clean(cleaned)
    assert (cleaned.dropped_parts, cleaned.filled_holes) == (0, 0)
    ours, given_ = (
        np.sort(points[faces].reshape(len(faces), -1), axis=0)
        for points, faces in ((cleaned.positions, cleaned.triangles), (POSITIONS, TRIANGLES))
    )
    assert len(ours) == len(given_)
    assert volume(cleaned.positions, cleaned.triangles) == pytest.approx(VOLUME, rel=1e-6)


def test_separate_triangles_are_welded() -> None:
    soup = POSITIONS[TRIANGLES].reshape(-1, 3)
    cleaned = clean(soup, np.arange(len(soup), dtype=np.int32).reshape(-1, 3))
    assert_clean(cleaned)
    assert len(cleaned.positions) == len(POSITIONS)


@pytest.mark.parametrize("inside_out", [True, False])
def test_faces_of_any_orientation_face_outwards(inside_out: bool) -> None:
    turned = np.ones(len(TRIANGLES), bool) if inside_out else np.random.default_rng(0).random(len(TRIANGLES)) < 0.5
    cleaned = clean(POSITIONS, np.where(turned[:, None], TRIANGLES[:, ::-1], TRIANGLES))
    assert_clean(cleaned)
    assert volume(cleaned.positions, cleaned.triangles) == pytest.approx(VOLUME, rel=1e-6)


def test_holes_are_filled_where_they_were() -> None:
    missing = np.zeros(len(TRIANGLES), bool)
    missing[[5, 100, 101, 300]] = True
    cleaned = clean(POSITIONS, TRIANGLES[~missing])
    assert_clean(cleaned)
    assert cleaned.filled_holes == 3
    assert volume(cleaned.positions, cleaned.triangles) == pytest.approx(VOLUME, rel=5e-3)


def test_large_holes_can_stay_open() -> None:
    upper = POSITIONS[TRIANGLES][:, :, 1].min(axis=1) > -0.1
    cleaned = clean(POSITIONS, TRIANGLES[upper], CleanUp(largest_hole=0.5))
    assert (cleaned.open_holes, cleaned.closed) == (1, False)
    assert_clean(clean(POSITIONS, TRIANGLES[upper]))


def test_degenerate_and_duplicate_faces_go() -> None:
    extra = [TRIANGLES[:30], TRIANGLES[40:60, ::-1], np.array([[0, 0, 1], [2, 3, 2]], np.int32)]
    cleaned = clean(POSITIONS, np.concatenate([TRIANGLES, *extra]))
    assert_clean(cleaned)


def test_a_face_without_area_becomes_part_of_its_neighbour() -> None:
    """A vertex in the middle of an edge of a cube, with a flat face between."""
    positions, triangles = cubes((0, 0, 0))
    edge = triangles[0, :2]
    middle = positions[edge].mean(axis=0, keepdims=True)
    tip = triangles[0, 2]
    faces = np.concatenate([triangles[1:], [[edge[0], 8, tip], [8, edge[1], tip], [edge[0], edge[1], 8]]])
    cleaned = clean(np.concatenate([positions, middle]).astype(np.float32), faces.astype(np.int32))
    assert_clean(cleaned)
    corners = cleaned.positions[cleaned.triangles].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    assert area.min() > 1e-3
    assert volume(cleaned.positions, cleaned.triangles) == pytest.approx(1)


@pytest.mark.parametrize("offset", [(1, 1, 0), (1, 1, 1)])
def test_solids_that_touch_are_taken_apart(offset: tuple[float, float, float]) -> None:
    cleaned = clean(*cubes((0, 0, 0), offset))
    assert_clean(cleaned)
    assert components(len(cleaned.positions), cleaned.triangles) == 2
    assert volume(cleaned.positions, cleaned.triangles) == pytest.approx(2, rel=0.03)


def test_a_hole_whose_rim_is_two_edges_stays_a_hole() -> None:
    """Both edges join the same two vertices, each of which has one fan of faces: as pairs of numbers they are one."""
    around, section = 3, 6
    turn, bend = np.meshgrid(
        np.arange(around) / around * 2 * np.pi, np.arange(section) / section * 2 * np.pi + np.pi, indexing="ij"
    )
    out = 1 + 0.5 * np.cos(bend)
    ring = np.stack([out * np.cos(turn), out * np.sin(turn), 0.5 * np.sin(bend)], -1).reshape(-1, 3).astype(np.float32)
    i, j = (each.ravel() for each in np.meshgrid(np.arange(around), np.arange(section), indexing="ij"))
    a, b, c, d = (
        (i + across) % around * section + (j + along) % section for across, along in ((0, 0), (1, 0), (0, 1), (1, 1))
    )
    faces = np.concatenate([np.stack([a, b, d], 1), np.stack([a, d, c], 1)]).astype(np.int32)
    faces[faces == 2 * section] = 0
    cleaned = clean(ring, faces[[len(set(face)) == 3 for face in faces.tolist()]])
    assert_clean(cleaned)
    edges = len(cleaned.triangles) * 3 // 2
    assert len(cleaned.positions) - edges + len(cleaned.triangles) == 0


def test_a_fin_on_a_body_does_not_hurt_it() -> None:
    outer = np.concatenate([POSITIONS, [[0, 3, 0]]]).astype(np.float32)
    fin = np.array([[TRIANGLES[50, 0], TRIANGLES[50, 1], len(POSITIONS)]], np.int32)
    assert_clean(clean(outer, np.concatenate([TRIANGLES, fin])))


def test_a_strip_with_one_side_ends_closed() -> None:
    turn = np.arange(20) / 20 * 2 * np.pi
    across = np.stack([np.cos(turn) * np.cos(turn / 2), np.sin(turn) * np.cos(turn / 2), np.sin(turn / 2)], 1) * 0.3
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], 1)
    a, b = np.arange(20), np.arange(20) + 20
    next_a, next_b = np.append(a[1:], 20), np.append(b[1:], 0)
    faces = np.concatenate([np.stack([a, next_a, b], 1), np.stack([next_a, next_b, b], 1)])
    assert_clean(clean(np.concatenate([ring + across, ring - across]).astype(np.float32), faces.astype(np.int32)))


def test_small_parts_go_by_their_share() -> None:
    positions = np.concatenate([POSITIONS, POSITIONS * 0.1 + 3]).astype(np.float32)
    triangles = np.concatenate([TRIANGLES, TRIANGLES + len(POSITIONS)])
    assert clean(positions, triangles, CleanUp(smallest_part=0.02)).dropped_parts == 1
    kept = clean(positions, triangles, CleanUp(smallest_part=0.005))
    assert kept.dropped_parts == 0
    assert components(len(kept.positions), kept.triangles) == 2


def test_positions_that_are_not_finite_go() -> None:
    positions = POSITIONS.copy()
    positions[7] = np.nan
    assert_clean(clean(positions, TRIANGLES))


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(MeshEmpty):
        clean(POSITIONS, np.array([[0, 1, 2], [0, 2, 1]], np.int32))
    with pytest.raises(MeshEmpty):
        clean(POSITIONS, np.empty((0, 3), np.int32))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_random_damage_is_repaired(seed: int, strength: int) -> None:
    random = np.random.default_rng(seed)
    triangles = TRIANGLES[random.random(len(TRIANGLES)) > strength / 200]
    turned = random.random(len(triangles)) < 0.2
    triangles = np.where(turned[:, None], triangles[:, ::-1], triangles)
    stray = random.integers(0, len(POSITIONS), (strength // 6, 3)).astype(np.int32)
    cleaned = clean(POSITIONS, np.concatenate([triangles, stray]))
    assert cleaned.closed
    assert_closed(cleaned.positions, cleaned.triangles)


def test_smoothing_takes_the_noise_and_leaves_the_volume() -> None:
    ball = faceted_ball(48, 24)
    noisy = (ball.positions + np.random.default_rng(0).normal(0, 0.02, ball.positions.shape)).astype(np.float32)
    smoothed = smooth(noisy, ball.triangles, 10)
    roughness = [np.abs(np.linalg.norm(points, axis=1) - 1).mean() for points in (noisy, smoothed)]
    assert roughness[1] < 0.5 * roughness[0]
    assert volume(smoothed, ball.triangles) == pytest.approx(volume(ball.positions, ball.triangles), rel=0.02)


def test_a_check_that_raises_ends_the_work() -> None:
    calls: list[None] = []

    def check() -> None:
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clean(POSITIONS, TRIANGLES, check=check)
