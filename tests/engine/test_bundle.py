"""Bundles: the published ones, ours against them, and pictures that are none.

The ball is the published picture itself, the bust a lossy copy of it (as a generated picture, it is slightly noisy).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tests.mesh.balls import PUBLISHED_SEMI_AXES, faceted_ball

from kiss3d_backend.mesh.bundle.check import check_bundle, iou, require_valid
from kiss3d_backend.mesh.bundle.layout import BUNDLE_SHAPE, TILE, BundleViews, join_bundle, split_bundle, view_name
from kiss3d_backend.mesh.bundle.masks import foreground
from kiss3d_backend.mesh.bundle.normals import decode_normals, encode_normals, normals_to_camera, normals_to_world
from kiss3d_backend.mesh.bundle.render import (
    FILL,
    fitted_scale,
    is_in_bundle_world,
    render_bundle,
)
from kiss3d_backend.mesh.camera import Camera, bundle_cameras
from kiss3d_backend.mesh.raster import rasterize
from kiss3d_backend.mesh.sample_texture import sample_texture
from kiss3d_backend.mesh.types import Mesh, Texture
from kiss3d_protocol.errors import BundleInvalid, MeshEmpty

Picture = NDArray[np.uint8]

DATA = Path(__file__).parent / "data"


def published(name: str) -> Picture:
    with Image.open(DATA / name) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture(scope="module")
def ball() -> Picture:
    return published("bundle_sphere.png")


@pytest.fixture(scope="module")
def bust() -> Picture:
    return published("bundle_bust.webp")


@pytest.fixture(scope="module")
def our_ball() -> BundleViews:
    return render_bundle([faceted_ball(semi_axes=PUBLISHED_SEMI_AXES)])


def box(size: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Mesh:
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float32) - 0.5
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))], dtype=np.int32)
    return Mesh(corners * np.array(size, dtype=np.float32), triangles)


def object_of(normals: Picture) -> NDArray[np.bool_]:
    return foreground(normals[None]).mask[0]


# The tiles


def test_a_bundle_is_split_and_joined(bust: Picture) -> None:
    views = split_bundle(bust)
    np.testing.assert_array_equal(views.colours[2], bust[:TILE, 2 * TILE : 3 * TILE])
    np.testing.assert_array_equal(views.normals[3], bust[TILE:, 3 * TILE :])
    np.testing.assert_array_equal(join_bundle(views), bust)


@pytest.mark.parametrize("shape", [(1024, 1024, 3), (2048, 1024, 3), (1024, 2048, 4), (1024, 2048), (0, 0, 3)])
def test_another_size_is_no_bundle(shape: tuple[int, ...]) -> None:
    with pytest.raises(BundleInvalid, match="2048 x 1024"):
        split_bundle(np.zeros(shape, dtype=np.uint8))


# Normals


def test_the_left_is_red_the_top_green_and_the_middle_blue() -> None:
    axes = np.array([[-1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(encode_normals(axes), [[255, 128, 128], [128, 255, 128], [128, 128, 255]])


@given(st.integers(0, 2**32 - 1))
def test_normals_survive_their_colours_and_the_change_of_frame(seed: int) -> None:
    normals = np.random.default_rng(seed).normal(size=(100, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    again = decode_normals(encode_normals(normals))
    assert np.degrees(np.arccos(np.clip((again * normals).sum(axis=1), -1, 1))).max() < 0.6
    camera = Camera(seed % 360, seed % 80 - 40)
    world = normals_to_world(normals, camera)
    np.testing.assert_allclose(normals_to_camera(world, camera), normals, atol=1e-6)
    np.testing.assert_allclose(world @ camera.axes[2], normals[:, 2], atol=1e-6)


# Our pictures against the published one


def test_our_ball_is_the_published_ball(ball: Picture, our_ball: BundleViews) -> None:
    theirs = split_bundle(ball)
    for view in range(4):
        a, b = object_of(theirs.normals[view]), object_of(our_ball.normals[view])
        assert iou(a, b) > 0.999
        both = a & b
        apart = np.abs(theirs.normals[view].astype(int) - our_ball.normals[view]).max(axis=-1)[both]
        # Only the pixels on the edges of facets, which we antialias, are more than a rounding apart.
        assert (apart <= 1).mean() > 0.90
        first, second = (decode_normals(normals[view][both]) for normals in (theirs.normals, our_ball.normals))
        angle = np.degrees(np.arccos(np.clip((first * second).sum(axis=-1), -1, 1)))
        assert np.median(angle) < 0.1
        assert angle.mean() < 0.5
        assert np.abs(theirs.colours[view].astype(int) - our_ball.colours[view])[both].mean() < 0.1


def test_normals_of_the_published_ball_are_those_of_a_ball_in_the_world(ball: Picture) -> None:
    """Every view, turned to the world, gives the directions from the middle of the ball."""
    views = split_bundle(ball)
    for camera, tile in zip(bundle_cameras(), views.normals, strict=True):
        rows, columns = np.nonzero(object_of(tile))
        middle = (columns > 130) & (columns < 380) & (rows > 130) & (rows < 380)
        rows, columns = rows[middle], columns[middle]
        ray = np.stack([2 * columns + 1 - TILE, TILE - 2 * rows - 1, np.zeros(len(rows))], axis=1) / TILE
        ray = ray * camera.tangent - (0, 0, 1)
        # |t d + (0, 0, r)| = 1 in the camera's frame, the nearer solution.
        square, along = (ray**2).sum(axis=1), ray[:, 2] * camera.radius
        reach = (-along - np.sqrt(along**2 - square * (camera.radius**2 - 1))) / square
        expected = normals_to_world(ray * reach[:, None] + (0, 0, camera.radius), camera)
        angle = np.degrees(
            np.arccos(
                np.clip((normals_to_world(decode_normals(tile[rows, columns]), camera) * expected).sum(axis=1), -1, 1)
            )
        )
        assert angle.mean() < 3.0, "facets are 5.6 degrees wide"


def test_the_bust_looks_to_the_left_in_its_second_view(bust: Picture) -> None:
    """A nose on +z must come out on the left at azimuth 90, and on the right at 270, as the bust's does."""
    head = slice(150, 260)
    masks = foreground(split_bundle(bust).normals).mask
    nose = box((0.1, 0.1, 0.3))
    nose = Mesh(nose.positions + np.array([0, 0, 0.45], dtype=np.float32), nose.triangles)
    ours = foreground(render_bundle([box((0.6, 0.9, 0.6)), nose]).normals).mask
    for view, side in ((1, "left"), (3, "right")):
        for mask in (masks[view][head], ours[view]):
            columns = np.nonzero(mask)[1]
            middle = np.median(columns)
            longer_left = middle - columns.min() > columns.max() - middle
            assert longer_left == (side == "left"), (view, side)


def test_views_are_antialiased_and_the_background_is_white(our_ball: BundleViews) -> None:
    for tiles in (our_ball.colours, our_ball.normals):
        assert (tiles[:, :30] == 255).all()
    levels = np.unique(our_ball.colours)
    assert {204, 255} < set(levels.tolist())
    assert 5 < len(levels) < 40
    matte = foreground(our_ball.normals).matte
    area = np.pi * (955.405 * 0.993 / np.sqrt(4.5**2 - 0.993**2)) ** 2
    assert matte[0].sum() == pytest.approx(area, rel=0.004)


def test_colours_of_vertices_and_textures_are_shown() -> None:
    ball = faceted_ball(32, 16)
    x = ball.positions[:, 0]
    colours = np.stack([x > 0, x > 2, x <= 0, x < 2], axis=1).astype(np.uint8) * 255
    front = render_bundle([Mesh(ball.positions, ball.triangles, colours=colours)]).colours
    assert front[0, 256, 360].tolist() == [255, 0, 0]
    assert front[0, 256, 150].tolist() == [0, 0, 255]
    assert front[2, 256, 360].tolist() == [0, 0, 255], "from behind, left and right change places"

    pixels = np.zeros((2, 2, 3), dtype=np.uint8)
    pixels[0, :], pixels[1, 0], pixels[1, 1] = 255, (200, 0, 0), (0, 200, 0)
    uvs = np.array([[0.25, 0.25], [0.75, 0.25]], dtype=np.float32)
    half = (x[ball.triangles].mean(axis=1) > 0).astype(np.int32)
    textured = Mesh(ball.positions, ball.triangles, uvs, np.repeat(half[:, None], 3, axis=1), None, Texture(pixels))
    front = render_bundle([textured]).colours
    assert front[0, 256, 360].tolist() == [0, 200, 0]
    assert front[0, 256, 150].tolist() == [200, 0, 0]


def test_textures_are_read_between_texels_and_repeat() -> None:
    pixels = np.array([[[0, 0, 0], [100, 100, 100]], [[50, 50, 50], [150, 150, 150]]], dtype=np.uint8)
    at = np.array([[0.25, 0.75], [0.75, 0.75], [0.5, 0.75], [0.5, 0.5], [0.0, 1.0], [1.25, -0.25]])
    assert sample_texture(pixels, at)[:, 0].tolist() == [0, 100, 50, 75, 0, 0]


def test_parts_hide_each_other() -> None:
    def plane(z: float, colour: int) -> Mesh:
        corners = np.array([[-0.5, -0.5, z], [0.5, -0.5, z], [0.5, 0.5, z], [-0.5, 0.5, z]], dtype=np.float32)
        colours = np.full((4, 4), colour, dtype=np.uint8)
        return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32), colours=colours)

    views = render_bundle([plane(-0.1, 10), plane(0.1, 200)])
    assert views.colours[0, 256, 256, 0] == 200
    assert views.colours[2, 256, 256, 0] == 10
    # Both sides of an open surface are drawn, with the normal towards the eye.
    assert (decode_normals(views.normals[[0, 2], 256, 256])[:, 2] > 0.99).all()


def test_smooth_normals_hide_the_facets() -> None:
    coarse = faceted_ball(16, 8)
    smooth, flat = (render_bundle([coarse], smooth=smooth).normals[0] for smooth in (True, False))
    assert np.abs(np.diff(flat[256, 150:360].astype(int), axis=0)).max() > 20
    assert np.abs(np.diff(smooth[256, 150:360].astype(int), axis=0)).max() < 6


def test_nothing_cannot_be_rendered() -> None:
    with pytest.raises(MeshEmpty):
        render_bundle([Mesh(np.zeros((3, 3), np.float32), np.zeros((0, 3), np.int32))])


def test_fitting_fills_the_tiles() -> None:
    assert fitted_scale(faceted_ball(128, 64).positions) == pytest.approx(1.0, abs=0.005)
    mesh = box((3.0, 20.0, 7.0))
    scale = fitted_scale(mesh.positions)
    tiles = render_bundle([Mesh(mesh.positions * np.float32(scale), mesh.triangles)]).normals
    rows, columns = (np.nonzero(foreground(tiles).mask)[axis] for axis in (1, 2))
    reach = 2 * np.abs(np.concatenate([rows, columns]) - 255.5).max() / TILE
    assert reach == pytest.approx(FILL, abs=0.006)


def test_what_lies_in_the_bundle_world_is_recognised() -> None:
    assert is_in_bundle_world(box((1, 0.3, 0.3)).positions)
    assert is_in_bundle_world(box((2, 2, 2)).positions)
    assert not is_in_bundle_world(box((3, 1, 1)).positions)
    assert not is_in_bundle_world(box((0.1, 0.1, 0.1)).positions)
    assert not is_in_bundle_world(box((1, 1, 1)).positions + np.float32(1.0))


# Masks


@pytest.mark.parametrize("sigma", [0, 4, 8, 12])
def test_masks_are_the_same_under_noise(ball: Picture, bust: Picture, sigma: int) -> None:
    random = np.random.default_rng(sigma)
    for picture in (ball, bust):
        clean = split_bundle(picture).normals
        noisy = np.clip(clean + random.normal(-sigma / 2, sigma, clean.shape), 0, 255).astype(np.uint8)
        first, second = foreground(clean).mask, foreground(noisy).mask
        assert min(iou(a, b) for a, b in zip(first, second, strict=True)) > 0.999


def test_areas_of_masks_are_those_of_the_published_pictures(ball: Picture, bust: Picture) -> None:
    assert foreground(split_bundle(ball).normals).mask.sum(axis=(1, 2)).tolist() == [146434] * 4
    areas = foreground(split_bundle(bust).normals).mask.sum(axis=(1, 2))
    np.testing.assert_allclose(areas, [97362, 85628, 112047, 87575], rtol=2e-3)


def test_mattes_find_the_outline_between_pixels() -> None:
    """Half a pixel of growth is seen as half a pixel."""
    areas = []
    for radius in (0.7, 0.7 * (1 + 0.5 / 148.6)):
        mesh = faceted_ball(256, 128, (radius,) * 3)
        areas.append(foreground(render_bundle([mesh]).normals[:1]).matte.sum())
    assert np.sqrt(areas[1] / np.pi) - np.sqrt(areas[0] / np.pi) == pytest.approx(0.5, abs=0.1)


def test_mattes_of_thin_things_lean_to_no_side() -> None:
    """Left and right of a rod of six pixels differ in colour, and in how far that is from white."""
    rod = faceted_ball(96, 48, (0.014, 0.7, 0.014))
    seen = foreground(render_bundle([rod]).normals)
    left, right = seen.matte[0, :, :256].sum(), seen.matte[0, :, 256:].sum()
    assert left == pytest.approx(right, rel=0.1)
    views = np.stack([camera.clip(rod.positions) for camera in bundle_cameras()]).astype(np.float32)
    covered = rasterize(views, rod.triangles, (TILE, TILE)).covered
    assert min(iou(mask, truth) for mask, truth in zip(seen.mask, covered, strict=True)) > 0.97


def test_specks_go_and_small_objects_stay() -> None:
    tile = np.full((1, TILE, TILE, 3), 255, dtype=np.uint8)
    tile[0, 300:303, 300:302] = 128, 128, 255
    assert foreground(tile).mask.sum() == 6
    tile[0, 100:200, 100:200] = 128, 128, 255
    tile[0, 150, 150] = 255
    mask = foreground(tile).mask[0]
    assert mask.sum() == 100 * 100
    assert mask[150, 150]
    assert not mask[300, 300]


def test_an_empty_tile_has_an_empty_mask() -> None:
    assert not foreground(np.full((1, TILE, TILE, 3), 250, dtype=np.uint8)).mask.any()


# The check


def test_the_published_bundles_are_valid(ball: Picture, bust: Picture) -> None:
    for picture, touching in ((ball, [False] * 4), (bust, [False, True, False, True])):
        figures = check_bundle(picture)
        assert figures.problems == ()
        require_valid(figures)
        assert figures.size == (2048, 1024)
        assert [view.touches for view in figures.views] == touching
        for view in figures.views:
            assert view.iou > 0.99
            assert view.offset < 0.5
            assert view.length_error < 0.05
            assert view.facing > 0.999
            assert view.white > 0.99
        assert min(value for value in figures.outwards if value is not None) > 0.95


def test_the_ball_has_the_figures_that_were_measured(ball: Picture) -> None:
    for view in check_bundle(ball).views:
        assert view.iou == pytest.approx(1.0, abs=1e-4)
        assert view.length_error == pytest.approx(0.0019, abs=3e-4)
        assert view.covered == pytest.approx(0.5586, abs=1e-4)
        assert view.white == 1.0


def test_our_own_bundles_are_valid(our_ball: BundleViews) -> None:
    assert check_bundle(join_bundle(our_ball)).problems == ()
    for mesh in (box(), box((1.4, 1.4, 0.02)), box((0.02, 1.4, 1.4)), box((1.2, 0.01, 1.2)), box((2.6, 0.4, 0.4))):
        assert check_bundle(join_bundle(render_bundle([mesh]))).problems == ()


def swapped_rows(picture: Picture) -> Picture:
    return np.concatenate([picture[TILE:], picture[:TILE]])


def shifted_tile(picture: Picture) -> Picture:
    shifted = picture.copy()
    shifted[:TILE, TILE : 2 * TILE] = np.roll(picture[:TILE, TILE : 2 * TILE], 8, axis=1)
    return shifted


def black_background(picture: Picture) -> Picture:
    return np.where((picture > 245).all(axis=-1, keepdims=True), 0, picture).astype(np.uint8)


def black_behind_normals(picture: Picture) -> Picture:
    return np.concatenate([picture[:TILE], black_background(picture)[TILE:]])


def _turned(picture: Picture, channel: int) -> Picture:
    turned = picture.copy()
    normals = turned[TILE:]
    seen = (normals < 245).any(axis=-1)
    normals[seen, channel] = 255 - normals[seen, channel]
    return turned


def x_not_flipped(picture: Picture) -> Picture:
    return _turned(picture, 0)


def y_flipped(picture: Picture) -> Picture:
    return _turned(picture, 1)


def z_flipped(picture: Picture) -> Picture:
    return _turned(picture, 2)


def world_normals(picture: Picture) -> Picture:
    views = split_bundle(picture)
    tiles = []
    for camera, tile in zip(bundle_cameras(), views.normals, strict=True):
        world = encode_normals(normals_to_world(decode_normals(tile), camera))
        tiles.append(np.where(object_of(tile)[..., None], world, tile))
    return join_bundle(BundleViews(views.colours, np.stack(tiles)))


def single_view(picture: Picture) -> Picture:
    return np.asarray(Image.fromarray(picture[:TILE, :TILE]).resize((2048, 1024)))


def only_one_view(picture: Picture) -> Picture:
    alone = np.full_like(picture, 255)
    alone[:, :TILE] = picture[:, :TILE]
    return alone


def four_views(picture: Picture) -> Picture:
    return picture[:, : 2 * TILE]


def weak_normals(picture: Picture) -> Picture:
    faded = picture.astype(np.float32)
    seen = (picture[TILE:] < 245).any(axis=-1)
    faded[TILE:][seen] = 127.5 + (faded[TILE:][seen] - 127.5) * 0.6
    return faded.astype(np.uint8)


def noise(picture: Picture) -> Picture:
    return np.random.default_rng(0).integers(0, 256, picture.shape, dtype=np.uint8)


def nothing(picture: Picture) -> Picture:
    return np.full(BUNDLE_SHAPE, 255, dtype=np.uint8)


@pytest.mark.parametrize(
    ("spoil", "because"),
    [
        (swapped_rows, "outwards"),
        (shifted_tile, "apart|different silhouettes"),
        (black_background, "border"),
        (black_behind_normals, "border"),
        (x_not_flipped, "left and right"),
        (y_flipped, "up and down"),
        (z_flipped, "face away"),
        (world_normals, "face away|outwards"),
        (single_view, "."),
        (only_one_view, "no object"),
        (four_views, "1024 x 1024"),
        (weak_normals, "unit length"),
        (noise, "border"),
        (nothing, "no object"),
    ],
)
def test_other_pictures_are_refused(
    ball: Picture, bust: Picture, spoil: Callable[[Picture], Picture], because: str
) -> None:
    for picture in (ball, bust):
        figures = check_bundle(spoil(picture))
        assert not figures.valid
        with pytest.raises(BundleInvalid, match=because):
            raise BundleInvalid(" ".join(figures.problems))
        with pytest.raises(BundleInvalid):
            require_valid(figures)


def test_problems_name_the_view(bust: Picture) -> None:
    [problem] = check_bundle(shifted_tile(bust)).problems
    assert view_name(1) in problem
    assert "azimuth 90" in problem


@pytest.mark.parametrize("name", ["sphere.png", "bust.png"])
def test_the_originals_when_they_are_here(name: str) -> None:
    path = Path(__file__).parents[3] / "shared" / "bundles" / name
    if not path.exists():
        pytest.skip(f"the published bundle is not at {path}")
    with Image.open(path) as image:
        figures = check_bundle(np.asarray(image.convert("RGB")))
    assert figures.problems == ()
    for view in figures.views:
        assert view.iou > 0.9995
        assert view.offset < 0.05
        assert view.length_error < 0.0025
        assert view.white == 1.0
