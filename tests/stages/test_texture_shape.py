"""The texture of what no view explains: noise in the views, a crumpled mesh, parts that nobody saw."""

from __future__ import annotations

import numpy as np
import pytest
from tests.mesh.balls import faceted_ball
from tests.stages.context import stage_context

from kiss3d_backend.mesh.cleanup import clean
from kiss3d_backend.mesh.simplify import simplify
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.types import BundleViews
from kiss3d_backend.stages.texture_shape import TextureShape, ToTexture

BALL = faceted_ball(32, 16)


def noise_views(seen: float) -> BundleViews:
    """``seen``: the share of pixels that a mask has."""
    random = np.random.default_rng(3)
    masks = random.random((4, 128, 128)) < seen
    colours = random.integers(0, 256, (4, 128, 128, 3), dtype=np.uint8)
    return BundleViews(colours, masks, masks.astype(np.float32), np.zeros((4, 128, 128, 3), np.float32))


def crumpled(by: float) -> Mesh:
    """A ball whose vertices are moved at random, some onto others, and a small one inside it that no view can see."""
    random = np.random.default_rng(5)
    outer = BALL.positions + random.normal(0, by, BALL.positions.shape)
    moved = random.integers(0, len(outer), len(outer) // 8)
    outer[moved] = outer[(moved + 1) % len(outer)]
    triangles = np.concatenate([BALL.triangles, BALL.triangles + len(outer)])
    cleaned = clean(np.concatenate([outer, 0.2 * BALL.positions]).astype(np.float32), triangles)
    return Mesh(cleaned.positions, cleaned.triangles)


@pytest.mark.parametrize("by", [0.02, 0.4])
@pytest.mark.parametrize("seen", [0.001, 0.5, 1.0])
def test_no_number_is_lost(by: float, seen: float) -> None:
    full = crumpled(by)
    low = simplify(full.positions, full.triangles, 500)
    context, record = stage_context()
    request = ToTexture(noise_views(seen), full, Mesh(low.positions, low.triangles), 128)
    with np.errstate(all="raise", under="ignore"):
        mesh = TextureShape().run(request, context)
    assert mesh.texture is not None and mesh.normal_map is not None
    assert mesh.texture.pixels.shape == mesh.normal_map.pixels.shape == (128, 128, 3)
    assert (mesh.normal_map.pixels[..., 2] >= 128).all(), "a normal of a surface that is seen looks outwards"
    assert record.warning_codes() == ["mesh.unseen_parts"]


def test_the_number_of_cores_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    full = crumpled(0.02)
    low = simplify(full.positions, full.triangles, 500)
    request = ToTexture(noise_views(0.5), full, Mesh(low.positions, low.triangles), 256)
    made = []
    for cores in (1, 7):
        for module in ("at_once", "raster.cpu"):
            monkeypatch.setattr(f"kiss3d_backend.mesh.{module}.usable_cores", lambda cores=cores: cores)
        made.append(TextureShape().run(request, stage_context()[0]))
    for one, other in zip(
        *([mesh.uvs, mesh.uv_triangles, mesh.texture.pixels, mesh.normal_map.pixels] for mesh in made), strict=True
    ):
        np.testing.assert_array_equal(one, other)
