"""Colours on a surface: what views show, what they hide, and what spreads into the rest."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from tests.mesh.balls import faceted_ball

from kiss3d_backend.mesh.bundle.masks import foreground
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.surface.colours import colour_surface
from kiss3d_backend.mesh.surface.fill import NEUTRAL, fill_by_diffusion
from kiss3d_backend.mesh.surface.project import CONFIDENCE, Projector
from kiss3d_backend.mesh.surface.view import ColourView, bundle_views, trust_in, without_rim
from kiss3d_backend.mesh.types import Mesh

BALL = faceted_ball(64, 32)


def joined(*meshes: Mesh) -> Mesh:
    starts = np.cumsum([0, *(len(mesh.positions) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.positions for mesh in meshes]),
        np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=False)]).astype(np.int32),
        colours=np.concatenate([mesh.colours for mesh in meshes if mesh.colours is not None]),
    )


def moved(mesh: Mesh, scale: float, by: tuple[float, float, float], colour: tuple[int, int, int]) -> Mesh:
    colours = np.tile(np.uint8((*colour, 255)), (len(mesh.positions), 1))
    return attrs.evolve(mesh, positions=(mesh.positions * scale + by).astype(np.float32), colours=colours)


def views_of(mesh: Mesh) -> list[ColourView]:
    tiles = render_bundle([mesh])
    return bundle_views(tiles.colours, foreground(tiles.normals).mask)


def test_a_surface_takes_the_colours_of_its_views() -> None:
    ramp = np.clip(BALL.positions * 100 + 128, 0, 255)
    ball = attrs.evolve(BALL, colours=np.concatenate([ramp, np.full((len(ramp), 1), 255)], axis=1).astype(np.uint8))
    surface = colour_surface(ball.positions, ball.triangles, views_of(ball))
    error = np.abs(surface.colours * 255 - ramp)
    waist = np.abs(BALL.positions[:, 1]) < 0.7
    assert error[waist].max() < 8
    assert error[waist].mean() < 1
    assert error.mean() < 4
    assert surface.seen_share > 0.7
    assert surface.unseen_parts == 0
    assert surface.rgba().shape == (len(ramp), 4)
    assert (surface.rgba()[:, 3] == 255).all()


def test_what_is_hidden_is_not_painted() -> None:
    """A red ball before a blue one, as seen by the front camera alone."""
    front = moved(BALL, 0.3, (0, 0, 0.5), (255, 0, 0))
    behind = moved(BALL, 0.3, (0, 0, -0.5), (0, 0, 255))
    both = joined(front, behind)
    view = views_of(both)[0]
    seen = Projector(both.positions, both.triangles, [view]).at(
        both.positions, vertex_normals(both.positions, both.triangles)
    )
    count = len(front.positions)
    faces_front = vertex_normals(front.positions, front.triangles)[:, 2] > 0.5
    assert (seen.confidence[:count][faces_front] > CONFIDENCE).all()
    assert (seen.confidence[:count][~faces_front & (front.positions[:, 2] < 0.5)] == 0).all()
    middle = np.hypot(*(behind.positions[:, :2] - (0, 0)).T) < 0.2
    assert (seen.confidence[count:][middle] == 0).all()
    assert np.abs(seen.colours[:count][faces_front] - (1, 0, 0)).max() < 0.02


def test_the_background_does_not_mix_into_the_rim() -> None:
    ball = moved(BALL, 0.9, (0, 0, 0), (20, 120, 60))
    surface = colour_surface(ball.positions, ball.triangles, views_of(ball))
    assert np.abs(surface.colours * 255 - (20, 120, 60)).max() < 2


def test_trust_ends_at_the_silhouette() -> None:
    mask = np.zeros((512, 512), bool)
    mask[100:400, 100:300] = True
    trust = trust_in(mask)
    assert (trust.preferred <= trust.seen + 1e-6).all()
    assert trust.preferred[mask].max() == pytest.approx(1)
    assert trust.preferred[250, 105] <= 0.02 + 1e-6
    assert trust.seen[250, 97] == 0 and trust.seen[250, 99] == 1
    assert trust_in(np.zeros((64, 64), bool)).seen.max() == 0
    assert trust_in(np.ones((64, 64), bool)).preferred[0, 0] <= 0.02 + 1e-6


def test_thin_things_keep_their_own_colour() -> None:
    image, mask = np.ones((64, 64, 3), np.float32), np.zeros((64, 64), bool)
    mask[10:60, 30] = True
    image[mask] = (1, 0, 0)
    mask[20:50, 40:60] = True
    image[20:50, 40:60] = (0, 0, 1)
    cleaned = without_rim(image, mask)
    np.testing.assert_array_equal(cleaned[15:20, 29:32], np.broadcast_to(np.float32([1, 0, 0]), (5, 3, 3)))
    np.testing.assert_array_equal(cleaned[30, 61], [0, 0, 1])
    np.testing.assert_array_equal(without_rim(image, np.zeros_like(mask)), image)


def test_diffusion_is_a_mean_of_the_known_and_keeps_them() -> None:
    random = np.random.default_rng(0)
    colours = random.random((len(BALL.positions), 3)).astype(np.float32)
    certainty = (random.random(len(colours)) < 0.1).astype(np.float32)
    filled = fill_by_diffusion(BALL.positions, BALL.triangles, colours, certainty)
    known = certainty > 0
    np.testing.assert_allclose(filled.colours[known], colours[known], atol=1e-6)
    assert (filled.colours.min(axis=0) >= colours[known].min(axis=0) - 1e-6).all()
    assert (filled.colours.max(axis=0) <= colours[known].max(axis=0) + 1e-6).all()


def test_between_two_poles_colours_go_over_evenly() -> None:
    """What diffuses from a black and a white pole of a ball is grey at its waist, and nowhere turns back."""
    colours = np.zeros((len(BALL.positions), 3), np.float32)
    top, bottom = BALL.positions[:, 1].argmax(), BALL.positions[:, 1].argmin()
    colours[top] = 1
    certainty = np.zeros(len(colours), np.float32)
    certainty[[top, bottom]] = 1
    filled = fill_by_diffusion(BALL.positions, BALL.triangles, colours, certainty).colours[:, 0]
    order = np.argsort(BALL.positions[:, 1])
    heights = np.round(BALL.positions[order, 1], 3)
    rings = np.array([filled[order][heights == height].mean() for height in np.unique(heights)])
    assert (np.diff(rings) > 0).all()
    assert rings[len(rings) // 2] == pytest.approx(0.5, abs=0.02)


def test_parts_that_nobody_saw_take_the_nearest_colour() -> None:
    seen, lost = moved(BALL, 0.3, (0, 0, 0), (255, 0, 0)), moved(BALL, 0.1, (0.5, 0, 0), (0, 0, 0))
    far = moved(BALL, 0.3, (2, 0, 0), (0, 255, 0))
    all_three = joined(seen, lost, far)
    count = len(BALL.positions)
    certainty = np.repeat(np.float32([1, 0, 1]), count)
    colours = np.zeros((3 * count, 3), np.float32)
    colours[:count], colours[2 * count :] = (1, 0, 0), (0, 1, 0)
    filled = fill_by_diffusion(all_three.positions, all_three.triangles, colours, certainty)
    assert filled.unseen_parts == 1
    np.testing.assert_allclose(filled.colours[count : 2 * count], np.tile([1, 0, 0], (count, 1)), atol=1e-6)


def test_an_object_that_nobody_saw_is_grey() -> None:
    nothing = np.zeros(len(BALL.positions), np.float32)
    filled = fill_by_diffusion(BALL.positions, BALL.triangles, np.zeros((len(nothing), 3), np.float32), nothing)
    assert filled.unseen_parts == 1
    np.testing.assert_allclose(filled.colours, NEUTRAL)
