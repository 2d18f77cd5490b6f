"""The coarse shape is brought to the size that the views show, or left out when it is something else."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from tests.mesh.balls import faceted_ball
from tests.stages.context import stage_context

from kiss3d_backend.mesh.bundle.masks import foreground
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.view_fit import best_scale, silhouette_ious
from kiss3d_backend.pipeline.types import BundleViews
from kiss3d_backend.stages.fit_coarse import FitCoarse, ToFit

EGG = faceted_ball(48, 24, (0.5, 0.8, 0.6))


@pytest.fixture(scope="module")
def views() -> BundleViews:
    tiles = render_bundle([EGG])
    seen = foreground(tiles.normals)
    return BundleViews(tiles.colours, seen.mask, seen.matte, np.zeros((4, 512, 512, 3), np.float32))


def scaled(factor: float, offset: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Mesh:
    return attrs.evolve(EGG, positions=(EGG.positions * factor + np.array(offset)).astype(np.float32))


@pytest.mark.parametrize("factor", [0.7, 0.92, 1.0, 1.3])
def test_the_size_is_found_again(views: BundleViews, factor: float) -> None:
    mesh = scaled(factor)
    assert best_scale(mesh.positions, mesh.triangles, views.masks) == pytest.approx(1 / factor, rel=0.015)
    context, record = stage_context()
    fitted = FitCoarse().run(ToFit(views, mesh), context)
    assert fitted is not None
    assert silhouette_ious(fitted.positions, fitted.triangles, views.masks).min() > 0.97
    assert record.warning_codes() == []


@pytest.mark.parametrize("mesh", [scaled(1.0, (0.0, 0.9, 0.0)), faceted_ball(16, 8, (1.0, 0.05, 0.05)), scaled(0.2)])
def test_another_object_is_left_out_with_a_warning(views: BundleViews, mesh: Mesh) -> None:
    context, record = stage_context()
    assert FitCoarse().run(ToFit(views, mesh), context) is None
    assert record.warning_codes() == ["mesh.coarse_doubtful"]


def test_overlap_of_nothing_with_nothing_is_none() -> None:
    far = EGG.positions + np.float32(100)
    assert silhouette_ious(far, EGG.triangles, np.zeros((4, 16, 16), bool)).tolist() == [0, 0, 0, 0]
