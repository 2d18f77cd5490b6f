"""Unwrapping: UVs that belong to the triangles, do not overlap, and can be waited for or not."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from tests.mesh.balls import faceted_ball

from kiss3d_backend.mesh.raster import rasterize
from kiss3d_backend.mesh.unwrap import Unwrapped, unwrap
from kiss3d_backend.mesh.unwrap.patches import cut
from kiss3d_backend.mesh.unwrap.wire import Reply, Request
from kiss3d_protocol.errors import JobCancelled, StageFailed

BALL = faceted_ball(24, 12)


def signed_areas(uvs: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = (uvs[triangles[:, corner]].astype(np.float64) for corner in range(3))
    return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


def test_uvs_belong_to_the_triangles_and_do_not_overlap() -> None:
    side = 512
    result = unwrap(BALL.positions, BALL.triangles, texture_size=side, padding=4)
    assert result.uv_triangles.shape == BALL.triangles.shape
    assert result.uvs.min() >= 0 and result.uvs.max() <= 1
    areas = np.abs(signed_areas(result.uvs, result.uv_triangles))
    assert areas.min() > 0
    clip = np.zeros((1, len(result.uvs), 4), np.float32)
    clip[0, :, :2], clip[0, :, 3] = 2 * result.uvs - 1, 1
    covered = (rasterize(clip, result.uv_triangles, (side, side)).triangle >= 0).mean()
    # What overlaps is counted once by the pixels and twice by the areas.
    assert covered == pytest.approx(areas.sum(), rel=0.01)
    assert covered > 0.4
    assert result.charts > 1


def islands(result: Unwrapped) -> np.ndarray:
    """The island of each of the UVs (N,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    flat = result.uv_triangles
    links = coo_array(
        (np.ones(2 * len(flat)), (flat[:, [0, 1]].ravel(), flat[:, [1, 2]].ravel())), shape=(len(result.uvs),) * 2
    )
    return connected_components(links, directed=False)[1]


def test_islands_keep_their_distance() -> None:
    from scipy import ndimage

    side, padding = 512, 6
    result = unwrap(BALL.positions, BALL.triangles, texture_size=side, padding=padding)
    flat, island = result.uv_triangles, islands(result)
    clip = np.zeros((1, len(result.uvs), 4), np.float32)
    clip[0, :, :2], clip[0, :, 3] = 2 * result.uvs - 1, 1
    triangle = rasterize(clip, flat, (side, side)).triangle[0]
    owner = np.where(triangle >= 0, island[flat[triangle, 0]], -1)
    for number in np.unique(island)[:6]:
        distance = ndimage.distance_transform_edt(owner != number)
        others = (owner >= 0) & (owner != number)
        assert distance[others].min() >= padding - 1


def test_no_island_is_so_large_that_it_takes_long() -> None:
    ball = faceted_ball(80, 40)
    result = unwrap(ball.positions, ball.triangles, texture_size=512)
    a, b, c = (ball.positions[ball.triangles[:, corner]] for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    of_island = np.bincount(islands(result)[result.uv_triangles[:, 0]], area) / area.sum()
    assert of_island.max() <= 1.01 * 600 / len(ball.triangles)
    assert len(of_island) < 40


def test_the_same_mesh_gets_the_same_uvs() -> None:
    """On as many cores as there are: which of them has finished first must not be seen."""
    ball = faceted_ball(100, 60)
    first, second = (unwrap(ball.positions, ball.triangles, texture_size=2048) for _ in range(2))
    assert len(cut(ball.positions, ball.triangles)) > 4
    np.testing.assert_array_equal(first.uvs, second.uvs)
    np.testing.assert_array_equal(first.uv_triangles, second.uv_triangles)


def test_patches_share_the_triangles_out() -> None:
    ball = faceted_ball(100, 60)
    patches = cut(ball.positions, ball.triangles)
    np.testing.assert_array_equal(np.sort(np.concatenate(patches)), np.arange(len(ball.triangles)))
    sizes = [len(patch) for patch in patches]
    assert min(sizes) > 0.9 * max(sizes)
    assert all((np.diff(patch) > 0).all() for patch in patches)
    [alone] = cut(BALL.positions, BALL.triangles)
    np.testing.assert_array_equal(alone, np.arange(len(BALL.triangles)))


@pytest.mark.parametrize("copies", [1, 3, 6000])
def test_triangles_that_touch_nothing_are_unwrapped_too(copies: int) -> None:
    corners = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    places = np.random.default_rng(0).random((copies, 1, 3), dtype=np.float32) * 1000
    positions, triangles = (corners + places).reshape(-1, 3), np.arange(3 * copies, dtype=np.int32).reshape(-1, 3)
    result = unwrap(positions, triangles, texture_size=1024)
    areas = np.abs(signed_areas(result.uvs, result.uv_triangles))
    assert areas.min() > 0.5 * areas.max() > 0
    # No place of the texture is given away twice.
    assert len(np.unique(result.uvs[result.uv_triangles].mean(axis=1).round(4), axis=0)) == copies


def test_what_the_check_raises_ends_the_process_at_once() -> None:
    ball = faceted_ball(300, 150)
    begun = time.monotonic()

    def check() -> None:
        if time.monotonic() - begun > 0.3:
            raise JobCancelled("The job was cancelled.")

    with pytest.raises(JobCancelled):
        unwrap(ball.positions, ball.triangles, texture_size=1024, check=check)
    assert time.monotonic() - begun < 20  # unwrapping this takes far longer
    assert threading.active_count() < 20


def test_a_process_that_fails_is_an_error_with_its_words() -> None:
    with pytest.raises(StageFailed, match="exit code"):
        unwrap(BALL.positions, BALL.triangles + 1_000_000, texture_size=256)


def test_bad_meshes_are_refused() -> None:
    with pytest.raises(ValueError, match="without triangles"):
        unwrap(BALL.positions, BALL.triangles[:0], texture_size=256)
    with pytest.raises(ValueError, match="finite"):
        unwrap(BALL.positions * np.float32("nan"), BALL.triangles, texture_size=256)


@pytest.mark.parametrize("cut", [0, 5, 30, -1])
def test_only_whole_messages_are_read(cut: int) -> None:
    request = Request(BALL.positions, BALL.triangles, 512, 4).pack()
    reply = Reply(BALL.positions[:, :2].copy(), BALL.triangles, 3).pack()
    assert Request.unpack(request).resolution == 512
    assert Reply.unpack(reply).charts == 3
    with pytest.raises(ValueError, match=r"request|header"):
        Request.unpack(request[:cut])
    with pytest.raises(ValueError, match=r"reply|header"):
        Reply.unpack(reply[:cut])
    with pytest.raises(ValueError, match="whole"):
        Request.unpack(reply)
