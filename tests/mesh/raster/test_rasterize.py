"""Which triangle is at which pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mesh.raster.scenes import Scene, all_hits, ball, soup, undecided

torch = pytest.importorskip("torch")

from kiss3d_backend.mesh.raster import rasterize  # noqa: E402
from kiss3d_backend.mesh.raster.torch_api import Rasterizer  # noqa: E402

SIZE = (24, 32)
SCENES = {
    "ball": ball(8, 12),
    "fine ball": ball(40, 60, (0.0,)),
    "one face": soup(3, 1),
    "overlapping": soup(0, 60),
    "edges on pixel centres": soup(5, 60, grid=True),
    "behind the camera": soup(1, 60, behind=0.4),
    "all behind": soup(2, 20, behind=1.1),
    "degenerate": Scene(soup(0, 9).clip, np.array([[0, 0, 0], [1, 1, 2], [3, 4, 3]], dtype=np.int32)),
    "nothing": Scene(soup(0, 3).clip, np.zeros((0, 3), dtype=np.int32)),
}


def drawn(rasterizer: Rasterizer, scene: Scene, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, ...]:
    found = rasterizer.rasterize(torch.from_numpy(scene.clip), torch.from_numpy(scene.triangles), size)
    return found.triangle.numpy(), found.barycentric.numpy(), found.depth.numpy()


def check(scene: Scene, triangle: np.ndarray, barycentric: np.ndarray, depth: np.ndarray) -> None:
    """As the oracle says, at every pixel that is decided; and consistent in itself everywhere."""
    size = triangle.shape[1:]
    for view, clip in enumerate(scene.clip):
        hits = all_hits(clip, scene.triangles, size)
        if len(scene.triangles):
            nearest = hits.depth.argmin(axis=0).astype(np.int32)
            nearest[np.isinf(hits.depth.min(axis=0))] = -1
        else:
            nearest = np.full(size, -1, dtype=np.int32)
        wrong = triangle[view] != nearest
        if wrong.any():
            assert not (wrong & ~undecided(hits, triangle[view], nearest)).any()
        seen = (triangle[view] >= 0) & ~wrong
        corners = clip[scene.triangles[triangle[view][seen]]].astype(np.float64)
        point = np.einsum("pi,pij->pj", barycentric[view][seen].astype(np.float64), corners)
        rows, columns = np.nonzero(seen)
        if len(corners) and np.abs(corners[..., 3]).min() > 1e-2:
            size_of = np.abs(corners).max(axis=(1, 2)) / point[:, 3]
            off = np.hypot(
                point[:, 0] / point[:, 3] - ((2 * columns + 1) / size[1] - 1),
                point[:, 1] / point[:, 3] - (1 - (2 * rows + 1) / size[0]),
            )
            assert (off < 1e-5 * size_of).all()
        np.testing.assert_allclose(depth[view][seen], hits.depth[nearest[seen], rows, columns], atol=1e-5)
    empty = triangle < 0
    assert (barycentric[empty] == 0).all()
    assert (depth[empty] == 1).all()
    np.testing.assert_allclose(barycentric[~empty].sum(axis=-1), 1, atol=1e-6)
    assert (barycentric >= 0).all()


@pytest.mark.parametrize("name", SCENES)
def test_every_pixel_is_the_oracles(rasterizer: Rasterizer, name: str) -> None:
    check(SCENES[name], *drawn(rasterizer, SCENES[name]))


@pytest.mark.parametrize("name", SCENES)
def test_back_ends_agree_to_the_last_pixel(rasterizer: Rasterizer, oracle: Rasterizer, name: str) -> None:
    ours, theirs = drawn(rasterizer, SCENES[name], (61, 47)), drawn(oracle, SCENES[name], (61, 47))
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_allclose(ours[1], theirs[1], atol=1e-6)
    np.testing.assert_allclose(ours[2], theirs[2], atol=1e-6)


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.integers(1, 40), st.sampled_from([0.0, 0.2, 1.0]), st.booleans())
def test_random_meshes(seed: int, faces: int, behind: float, grid: bool) -> None:
    scene = soup(seed, faces, behind=behind, views=1, grid=grid)
    found = rasterize(scene.clip, scene.triangles, (16, 16))
    check(scene, found.triangle, found.barycentric, found.depth)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("axis", range(4))
def test_coordinates_that_are_not_numbers_leave_the_rest_alone(rasterizer: Rasterizer, value: float, axis: int) -> None:
    scene = ball(6, 8, (0.0,))
    clip = scene.clip.copy()
    clip[:, 0, axis] = value
    touched = (scene.triangles == 0).any(axis=1)
    triangle, barycentric, depth = drawn(rasterizer, Scene(clip, scene.triangles))
    assert np.isfinite(barycentric).all()
    assert np.isfinite(depth).all()
    if not np.isfinite(value):
        assert not touched[triangle[triangle >= 0]].any()
    without = drawn(rasterizer, Scene(scene.clip, np.where(touched[:, None], 0, scene.triangles).astype(np.int32)))
    untouched = (triangle < 0) | ~touched[triangle]
    np.testing.assert_array_equal(triangle[untouched], without[0][untouched])


def test_no_pixel_falls_between_neighbours(rasterizer: Rasterizer) -> None:
    """A plane of many triangles across the picture, seen slantwise, covers all of it."""
    side = 30
    u, v = np.meshgrid(np.linspace(-3, 3, side), np.linspace(-3, 3, side))
    w = 1.5 + 0.2 * u
    clip = np.stack([u * w, v * w, 0 * u, w], axis=-1).reshape(1, -1, 4).astype(np.float32)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).ravel()
    triangles = np.concatenate(
        [np.stack([corner, corner + 1, corner + side], 1), np.stack([corner + 1, corner + side + 1, corner + side], 1)]
    ).astype(np.int32)
    triangle, _, _ = drawn(rasterizer, Scene(clip, triangles), (128, 128))
    assert (triangle >= 0).all()


def test_of_two_at_one_depth_the_smaller_index_is_seen(rasterizer: Rasterizer) -> None:
    scene = ball(8, 12)
    doubled = Scene(scene.clip, np.concatenate([scene.triangles, scene.triangles[:, [1, 2, 0]]]))
    triangle = drawn(rasterizer, doubled)[0]
    assert triangle.max() < len(scene.triangles)


def test_the_number_of_bands_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from kiss3d_backend.mesh.raster import cpu

    scene = soup(7, 200, behind=0.1)
    results = []
    for cores in (1, 2, 64):
        monkeypatch.setattr(cpu, "usable_cores", lambda cores=cores: cores)
        results.append(rasterize(scene.clip, scene.triangles, (33, 65)))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].triangle, other.triangle)
        np.testing.assert_array_equal(results[0].barycentric, other.barycentric)
        np.testing.assert_array_equal(results[0].depth, other.depth)


@pytest.mark.parametrize(
    ("clip", "triangles", "size", "text"),
    [
        ((2, 5, 3), [[0, 1, 2]], (4, 4), r"\(N, V, 4\)"),
        ((5, 4), [[0, 1, 2]], (4, 4), r"\(N, V, 4\)"),
        ((1, 5, 4), [[0, 1]], (4, 4), r"\(T, 3\)"),
        ((1, 5, 4), [[0, 1, 5]], (4, 4), "outside 0 to 4"),
        ((1, 5, 4), [[-1, 1, 2]], (4, 4), "outside 0 to 4"),
        ((1, 5, 4), [[0, 1, 2]], (0, 4), "has none"),
    ],
)
def test_bad_input_is_refused(
    rasterizer: Rasterizer, clip: tuple[int, ...], triangles: list[list[int]], size: tuple[int, int], text: str
) -> None:
    corners = np.zeros(clip, dtype=np.float32)
    index = np.array(triangles, dtype=np.int32)
    with pytest.raises(ValueError, match=text):
        rasterize(corners, index, size)
    with pytest.raises(ValueError, match=text.replace(r"\(T, 3\)", r"int32 \(T, 3\)")):
        rasterizer.rasterize(torch.from_numpy(corners), torch.from_numpy(index), size)


def test_several_threads_may_draw_at_once() -> None:
    from concurrent.futures import ThreadPoolExecutor

    scene = ball(20, 30)
    expected = rasterize(scene.clip, scene.triangles, (64, 64))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: rasterize(scene.clip, scene.triangles, (64, 64)), range(16)))
    assert all((result.triangle == expected.triangle).all() for result in found)
