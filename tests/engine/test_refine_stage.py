"""A shape that its coarse mesh keeps from filling the views is begun again from their visual hull, once."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from tests.mesh.painted import painted
from tests.mesh.solids import meshed
from tests.stages.context import stage_context

from kiss3d_backend.mesh.bundle.layout import join_bundle
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.edges import is_closed
from kiss3d_backend.mesh.refine.settings import DRAFT
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.view_fit import silhouette_ious
from kiss3d_backend.pipeline.types import Bundle, BundleViews
from kiss3d_backend.stages import refine_shape
from kiss3d_backend.stages.refine_shape import RefineShape, ToRefine
from kiss3d_backend.stages.split_bundle import SplitBundle

SHORT = attrs.evolve(
    DRAFT, rough=attrs.evolve(DRAFT.rough, steps=12), fine=attrs.evolve(DRAFT.fine, steps=8), most_faces=5000
)


def box(points: np.ndarray, centre: tuple[float, ...], half: tuple[float, ...]) -> np.ndarray:
    beyond = np.abs(points - np.float32(centre)) - np.float32(half)
    return np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)


def seat(points: np.ndarray) -> np.ndarray:
    return box(points, (0, 0.1, 0), (0.35, 0.08, 0.3))


def stool(points: np.ndarray) -> np.ndarray:
    legs = [box(points, (x, -0.2, z), (0.05, 0.28, 0.05)) for x in (-0.25, 0.25) for z in (-0.2, 0.2)]
    return np.min([seat(points), *legs], axis=0)


@pytest.fixture(scope="module")
def shapes() -> tuple[Mesh, Mesh, BundleViews]:
    """The seat alone, the whole stool, and its views."""
    whole = painted(meshed(stool, 64))
    bundle = Bundle(join_bundle(render_bundle([whole])), 0)
    alone = meshed(seat, 64)
    views = SplitBundle(checked=True).run(bundle, stage_context()[0])
    return Mesh(alone.positions, alone.triangles), Mesh(whole.positions, whole.triangles), views


def least_iou(mesh: Mesh, views: BundleViews) -> float:
    return float(silhouette_ious(mesh.positions, mesh.triangles, views.masks).min())


def test_legs_that_the_coarse_mesh_lacks_come_from_the_hull(shapes: tuple[Mesh, Mesh, BundleViews]) -> None:
    alone, _, views = shapes
    assert least_iou(alone, views) < 0.75
    context, record = stage_context()
    refined = RefineShape(SHORT).run(ToRefine(views, alone, "coarse", 5000), context)
    assert record.warning_codes() == ["mesh.coarse_doubtful"]
    assert least_iou(refined, views) > 0.95
    assert is_closed(refined.triangles, len(refined.positions))
    assert [steps for _, _, steps, *_ in record.of("progress")] == [8] * 8 + [20] * 20
    fractions = [fraction for *_, fraction, _ in record.of("progress")]
    assert fractions == sorted(fractions)


def test_a_coarse_mesh_that_fits_is_refined_once(
    shapes: tuple[Mesh, Mesh, BundleViews], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole, views = shapes
    monkeypatch.delattr(refine_shape, "visual_hull")
    context, record = stage_context()
    refined = RefineShape(SHORT).run(ToRefine(views, whole, "coarse", 5000), context)
    assert (record.warning_codes(), len(record.of("progress"))) == ([], 8)
    assert least_iou(refined, views) > 0.95


def test_views_whose_hull_fits_no_better_cost_no_second_refinement(shapes: tuple[Mesh, Mesh, BundleViews]) -> None:
    alone, _, views = shapes
    # The second view shows the seat alone: no body has legs in the other three and none there.
    tiles = render_bundle([painted(alone)])
    bundle = Bundle(join_bundle(tiles), 0)
    other = SplitBundle(checked=True).run(bundle, stage_context()[0])

    def mixed(of: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.stack([of[0], second[1], of[2], of[3]])

    contradicting = BundleViews(
        *(mixed(getattr(views, name), getattr(other, name)) for name in ("colours", "masks", "mattes", "normals"))
    )
    context, record = stage_context()
    refined = RefineShape(SHORT).run(ToRefine(contradicting, alone, "coarse", 5000), context)
    assert (record.warning_codes(), len(record.of("progress"))) == ([], 8)
    assert least_iou(refined, contradicting) < 0.9
