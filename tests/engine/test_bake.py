"""Baked textures: true to the views, without seams, and normals true to the full mesh."""

from __future__ import annotations

from functools import cache

import attrs
import numpy as np
import pytest
from scipy.spatial import KDTree
from tests.mesh.balls import faceted_ball
from tests.mesh.painted import painted, psnr
from tests.mesh.solids import solid

from kiss3d_backend.mesh.bake import correct
from kiss3d_backend.mesh.bake.colours import bake_colours
from kiss3d_backend.mesh.bake.nearest import NearestPoints
from kiss3d_backend.mesh.bake.normal_map import bake_normal_map
from kiss3d_backend.mesh.bake.padding import pad_islands
from kiss3d_backend.mesh.bake.texels import find_texels
from kiss3d_backend.mesh.bundle.masks import foreground
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.cleanup import clean
from kiss3d_backend.mesh.edges import find_edges
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.sample_texture import sample_texture
from kiss3d_backend.mesh.simplify import simplify
from kiss3d_backend.mesh.surface.view import bundle_views
from kiss3d_backend.mesh.tangents import tangent_frames
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.unwrap import unwrap
from kiss3d_protocol.errors import JobCancelled

SIDE = 512


@cache
def unwrapped(name: str, faces: int) -> tuple[Mesh, Mesh]:
    """A painted solid, and the same with few faces and UVs."""
    body = solid(name, 96)
    cleaned = clean(body.positions, body.triangles)
    original = painted(Mesh(cleaned.positions, cleaned.triangles))
    simple = simplify(original.positions, original.triangles, faces)
    uvs = unwrap(simple.positions, simple.triangles, texture_size=SIDE)
    return original, Mesh(simple.positions, simple.triangles, uvs.uvs, uvs.uv_triangles)


@pytest.mark.parametrize("name", ["character", "mug"])
def test_rendered_again_the_views_are_the_same(name: str) -> None:
    original, mesh = unwrapped(name, 4000)
    wanted = render_bundle([original])
    masks = foreground(wanted.normals).mask
    baked = bake_colours(mesh, bundle_views(wanted.colours, masks), 1024)
    assert baked.texture.pixels.shape == (1024, 1024, 3)
    textured = render_bundle([attrs.evolve(mesh, texture=baked.texture)])
    by_vertex = render_bundle([Mesh(mesh.positions, mesh.triangles, colours=baked.surface.rgba())])
    for view in range(4):
        quality = psnr(textured.colours[view], wanted.colours[view], masks[view])
        assert quality >= 28
        assert quality > psnr(by_vertex.colours[view], wanted.colours[view], masks[view])


def test_what_a_view_sees_flatly_is_drawn_again_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Projected only, the colours of a surface are those of the view that sees it best."""
    ball = faceted_ball(96, 48)
    ball = painted(attrs.evolve(ball, positions=(ball.positions * 0.5).astype(np.float32)))
    wanted = render_bundle([ball])
    seen = foreground(wanted.normals)
    # The surface is off by two pixels.
    low = simplify((ball.positions * 0.98).astype(np.float32), ball.triangles, 2000)
    flat = unwrap(low.positions, low.triangles, texture_size=1024)
    mesh = Mesh(low.positions, low.triangles, flat.uvs, flat.uv_triangles)
    worst = []
    for rounds in (0, correct._ROUNDS):
        monkeypatch.setattr(correct, "_ROUNDS", rounds)
        baked = bake_colours(mesh, bundle_views(wanted.colours, seen.mask, seen.matte), 1024)
        drawn = render_bundle([attrs.evolve(mesh, texture=baked.texture)])
        inside = seen.mask & foreground(drawn.normals).mask
        worst.append(min(psnr(*view) for view in zip(drawn.colours, wanted.colours, inside, strict=True)))
    assert worst[1] > worst[0] + 1.2


def test_both_sides_of_a_seam_have_the_same_colours() -> None:
    original, mesh = unwrapped("character", 4000)
    wanted = render_bundle([original])
    pixels = bake_colours(mesh, bundle_views(wanted.colours, foreground(wanted.normals).mask), 2048).texture.pixels
    assert mesh.uvs is not None and mesh.uv_triangles is not None
    edges = find_edges(mesh.triangles, len(mesh.positions))
    sides = np.flatnonzero(edges.opposite.ravel() > np.arange(edges.opposite.size))
    across = edges.opposite.ravel()[sides]
    ends = np.roll(np.arange(3 * len(mesh.triangles)).reshape(-1, 3), -1, axis=1).ravel()
    flat = mesh.uv_triangles.ravel()
    ours, theirs = (flat[sides], flat[ends[sides]]), (flat[ends[across]], flat[across])
    seam = (ours[0] != theirs[0]) | (ours[1] != theirs[1])
    assert seam.sum() > 100
    differences = []
    for share in (0.1, 0.5, 0.9):
        left, right = (
            sample_texture(pixels, mesh.uvs[pair[0][seam]] * (1 - share) + mesh.uvs[pair[1][seam]] * share)
            for pair in (ours, theirs)
        )
        differences.append(np.abs(left - right).max(axis=1))
    assert np.mean(differences) < 2
    assert np.percentile(differences, 99) < 12  # of 255; the pattern's own edges change by 60 within a pixel


def test_baking_can_be_stopped() -> None:
    original, mesh = unwrapped("character", 4000)
    tiles = render_bundle([original])

    def stop() -> None:
        raise JobCancelled("The job was cancelled.")

    views = bundle_views(tiles.colours, foreground(tiles.normals).mask)
    with pytest.raises(JobCancelled):
        bake_colours(mesh, views, SIDE, check=stop)
    with pytest.raises(JobCancelled):
        bake_normal_map(mesh, original.positions, original.triangles, SIDE, check=stop)
    with pytest.raises(ValueError, match="UVs"):
        bake_colours(original, views, SIDE)
    with pytest.raises(ValueError, match="UVs"):
        bake_normal_map(original, original.positions, original.triangles, SIDE)


def test_texels_show_the_points_that_their_uvs_say() -> None:
    _, mesh = unwrapped("character", 4000)
    assert mesh.uvs is not None and mesh.uv_triangles is not None
    texels = find_texels(mesh.uvs, mesh.uv_triangles, SIDE)
    whole = slice(0, len(texels.pixel))
    row, column = np.divmod(texels.pixel, SIDE)
    centre = np.stack([column + 0.5, SIDE - row - 0.5], axis=1)
    there = texels.mix(mesh.uvs, mesh.uv_triangles, whole) * SIDE
    distance = np.linalg.norm(there - centre, axis=1)
    assert distance.max() < 1.6  # at the fringe
    assert np.mean(distance < 1e-2) > 0.7
    np.testing.assert_allclose(texels.barycentric.sum(axis=1), 1, atol=1e-5)
    assert (np.diff(texels.pixel) > 0).all()


def test_padding_reaches_everything_and_changes_nothing_else() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    covered = np.zeros((64, 64), bool)
    covered[10:20, 10:20] = covered[40:50, 30:60] = True
    padded = pad_islands(pixels, covered)
    np.testing.assert_array_equal(padded[covered], pixels[covered])
    np.testing.assert_array_equal(padded[10:20, 0], pixels[10:20, 10])
    np.testing.assert_array_equal(padded[63, 30:60], pixels[49, 30:60])
    assert pad_islands(pixels, np.zeros_like(covered)) is pixels


@pytest.mark.parametrize("facing", [1.0, -1.0])
def test_nearest_points_are_the_nearest(facing: float) -> None:
    """Against the nearest of many points on the surface; from the inside nothing faces the same way."""
    ball = faceted_ball(32, 16)
    random = np.random.default_rng(0)
    points = (random.normal(size=(500, 3)) * 0.6).astype(np.float32)
    normals = facing * points
    found = NearestPoints(ball.positions, ball.triangles).to(points, normals, 10.0)
    shares = random.dirichlet((1, 1, 1), (len(ball.triangles), 200))
    facets = np.cross(*(np.diff(ball.positions[ball.triangles], axis=1)[:, side] for side in (0, 1)))
    samples = np.einsum("tsk,tkc->tsc", shares, ball.positions[ball.triangles])
    for item in range(0, 500, 25):
        allowed = facets @ normals[item] > 0
        best = KDTree(samples[allowed].reshape(-1, 3)).query(points[item])[0]
        corner = ball.positions[ball.triangles[found.triangle[item]]]
        distance = np.linalg.norm(found.barycentric[item] @ corner - points[item])
        assert allowed[found.triangle[item]]
        assert best - 0.02 <= distance <= best + 1e-5


def test_what_is_out_of_reach_has_no_nearest_point() -> None:
    ball = faceted_ball(32, 16)
    far = np.float32([[3, 0, 0], [1.05, 0, 0]])
    found = NearestPoints(ball.positions, ball.triangles).to(far, far, 0.1)
    assert found.triangle[0] == -1 and found.triangle[1] >= 0


def test_tangents_lie_along_u() -> None:
    _, mesh = unwrapped("character", 4000)
    frames = tangent_frames(mesh)
    tangents, split = frames.tangents, frames.split
    np.testing.assert_allclose(np.linalg.norm(tangents[:, :3], axis=1), 1, atol=1e-5)
    assert np.abs(np.einsum("ij,ij->i", tangents[:, :3], frames.normals)).max() < 1e-4
    assert set(np.unique(tangents[:, 3])) <= {-1.0, 1.0}
    # Going along the tangent, u grows; along the bitangent, v.
    assert split.uvs is not None
    places, uvs = mesh.positions[split.vertices][split.triangles], split.uvs[split.triangles]
    one, two = places[:, 1] - places[:, 0], places[:, 2] - places[:, 0]
    jacobian = np.stack([uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]], axis=1)
    corner = split.triangles[:, 0]
    bitangent = np.cross(frames.normals[corner], tangents[corner, :3]) * tangents[corner, 3:]
    for direction, axis in ((tangents[corner, :3], 0), (bitangent, 1)):
        basis = np.stack([one, two], axis=2)
        steps = np.linalg.pinv(basis) @ direction[..., None]
        growth = np.einsum("ti,tic->tc", steps[..., 0], jacobian)
        assert np.mean(growth[:, axis] > 0) > 0.99


def test_normal_maps_bring_back_the_normals_of_the_full_mesh() -> None:
    original, mesh = unwrapped("character", 1500)
    pixels = bake_normal_map(mesh, original.positions, original.triangles, SIDE).pixels
    frames = tangent_frames(mesh)
    random = np.random.default_rng(0)
    face, share = random.integers(0, len(mesh.triangles), 4000), random.dirichlet((1, 1, 1), 4000)
    corners = frames.split.triangles[face]

    def mix(values: np.ndarray) -> np.ndarray:
        return np.einsum("ij,ijk->ik", share, values[corners])

    assert frames.split.uvs is not None
    local = (sample_texture(pixels, mix(frames.split.uvs)) - 128) / 127
    normal, tangent, sign = mix(frames.normals), mix(frames.tangents[:, :3]), frames.tangents[corners[:, :1], 3]
    mapped = local[:, :1] * tangent + local[:, 1:2] * np.cross(normal, tangent) * sign + local[:, 2:] * normal
    points = mix(mesh.positions[frames.split.vertices]).astype(np.float32)
    nearest = NearestPoints(original.positions, original.triangles).to(points, normal.astype(np.float32), 1.0)
    fine = vertex_normals(original.positions, original.triangles)[original.triangles[nearest.triangle]]
    true = np.einsum("ij,ijk->ik", nearest.barycentric, fine)

    def degrees(vectors: np.ndarray) -> np.ndarray:
        cosine = np.einsum("ij,ij->i", vectors, true)
        cosine /= np.linalg.norm(vectors, axis=1) * np.linalg.norm(true, axis=1)
        return np.degrees(np.arccos(np.clip(cosine, -1, 1)))

    assert np.mean(degrees(mapped)) < 1.5
    assert np.mean(degrees(mapped)) < 0.4 * np.mean(degrees(normal))
    assert np.abs(np.linalg.norm(local, axis=1) - 1).mean() < 0.03


def test_a_fold_of_the_full_mesh_leaves_no_mark() -> None:
    """A small triangle looks outwards, but the normals at its corners are those of large ones that look inwards."""
    square = np.float32([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    mesh = Mesh(square, np.int32([[0, 1, 2], [0, 2, 3]]), (square[:, :2] + 1) / 2)
    small = np.float32([[-0.9, -0.9, 0], [0.9, -0.9, 0], [0, 0.9, 0]])
    folded = np.int32([[0, 1, 2], [1, 0, 3], [2, 1, 4], [0, 2, 5]])
    fine = np.concatenate([small, -9 * small[[2, 0, 1]] * (-1, -1, 1)]).astype(np.float32)
    assert (vertex_normals(fine, folded)[:3] == (0, 0, -1)).all()
    pixels = bake_normal_map(mesh, fine, folded, 32).pixels
    assert (pixels == (128, 128, 255)).all()
