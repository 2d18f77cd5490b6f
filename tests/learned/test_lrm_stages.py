"""Four views to a coarse mesh in the bundle's world, and its normals under the views as the reference bundle."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from scipy.spatial import cKDTree
from tests.fakes.tiny.lrm import TINY, tiny_lrm
from tests.stages.context import Record, stage_context

from kiss3d_backend.mesh.bundle.check import check_bundle
from kiss3d_backend.mesh.bundle.normals import decode_normals, normals_to_world
from kiss3d_backend.mesh.camera import (
    BUNDLE_AZIMUTHS,
    LRM_RADIUS,
    REFERENCE_RADIUS,
    Camera,
    bundle_cameras,
    from_lrm_frame,
    lrm_camera_vectors,
)
from kiss3d_backend.mesh.edges import is_closed
from kiss3d_backend.networks.lrm.model import Lrm
from kiss3d_backend.pipeline.clock import JobClock
from kiss3d_backend.pipeline.stage import StageContext
from kiss3d_backend.pipeline.types import Mesh, Views
from kiss3d_backend.stages.reconstruct_coarse import (
    MULTIVIEW_SETTINGS,
    CoarseSettings,
    ReconstructCoarse,
    model_pictures,
    turned_about_y,
)
from kiss3d_backend.stages.reference_bundle import ReferenceBundle, ToReference
from kiss3d_protocol.errors import JobCancelled

SMALL = CoarseSettings(resolution=20, memory=2**20)


@pytest.fixture(scope="module")
def model() -> Lrm:
    made = Lrm(TINY)
    made.load_state_dict(tiny_lrm())
    return made.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def views() -> Views:
    return Views(np.random.default_rng(0).integers(0, 256, (4, 512, 512, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def coarse(model: Lrm, views: Views) -> Mesh:
    return ReconstructCoarse(lambda: model, SMALL).run(views, stage_context()[0])


def test_a_closed_coloured_mesh_with_progress(model: Lrm, views: Views) -> None:
    context, record = stage_context()
    mesh = ReconstructCoarse(lambda: model, SMALL).run(views, context)
    assert is_closed(mesh.triangles, len(mesh.positions))
    assert mesh.colours is not None
    assert mesh.colours.shape == (len(mesh.positions), 4)
    assert mesh.colours.dtype == np.uint8
    assert (mesh.positions.dtype, mesh.triangles.dtype) == (np.float32, np.int32)
    a, b, c = mesh.positions[mesh.triangles].swapaxes(0, 1)
    assert (a * np.cross(b, c)).sum() > 0
    steps = [step for _, step, *_ in record.of("progress")]
    assert steps == sorted(steps)
    assert len(steps) >= model.steps(4, 512) + 3
    again = ReconstructCoarse(lambda: model, SMALL).run(views, stage_context()[0])
    np.testing.assert_array_equal(again.positions, mesh.positions)
    np.testing.assert_array_equal(again.colours, mesh.colours)


def test_what_the_model_sees_from_a_view_the_bundle_sees_from_it_too() -> None:
    """A point between the origin and each camera of the LRM lies between the origin and the bundle's camera."""
    for settings in (CoarseSettings(), MULTIVIEW_SETTINGS, CoarseSettings(azimuths=(-10.1, 79.9, 169.9, -100.1))):
        eyes = lrm_camera_vectors(settings.cameras)[:, :12].reshape(4, 3, 4)[:, :, 3]
        placed = turned_about_y(from_lrm_frame(eyes), settings.turn)
        np.testing.assert_allclose(placed, [camera.eye for camera in bundle_cameras(LRM_RADIUS)], atol=1e-5)
    assert [camera.azimuth for camera in CoarseSettings().cameras] == list(BUNDLE_AZIMUTHS)


def test_the_multiview_mesh_is_what_the_published_order_gives(model: Lrm, views: Views) -> None:
    """There the model is given tiles in reading order, azimuth 90, 180, 270, 0, as 0, 90, 180, 270; its mesh is then
    rendered from 270, 0, 90, 180.
    """
    reading_order = Views(views.colours[[1, 2, 3, 0]])
    published = ReconstructCoarse(lambda: model, SMALL).run(reading_order, stage_context()[0])
    settings = CoarseSettings(azimuths=MULTIVIEW_SETTINGS.azimuths, resolution=20, memory=2**20)
    ours = ReconstructCoarse(lambda: model, settings).run(views, stage_context()[0])
    assert len(ours.positions) == len(published.positions)
    for azimuth, camera in zip((270.0, 0.0, 90.0, 180.0), bundle_cameras(), strict=True):
        # The clean-up may number vertices otherwise.
        theirs = cKDTree(Camera(azimuth).pixels(published.positions, 512))
        distance, matched = theirs.query(camera.pixels(ours.positions, 512))
        assert distance.max() < 0.05
        assert len(set(matched)) == len(matched)


def test_azimuths_that_are_no_turned_bundle_are_refused() -> None:
    with pytest.raises(ValueError, match="turned by one angle"):
        CoarseSettings(azimuths=(0.0, 180.0, 90.0, 270.0))


def test_the_fingerprint_tells_what_shapes_the_mesh(model: Lrm) -> None:
    def fingerprint(settings: CoarseSettings, weights: str = "a") -> str:
        return ReconstructCoarse(lambda: model, settings, weights).fingerprint()

    assert fingerprint(CoarseSettings(memory=2**25)) == fingerprint(CoarseSettings())
    others = [fingerprint(CoarseSettings(resolution=64)), fingerprint(MULTIVIEW_SETTINGS)]
    assert len({fingerprint(CoarseSettings()), *others, fingerprint(CoarseSettings(), "b")}) == 4


def test_cancel_ends_the_work_between_two_pieces(model: Lrm, views: Views) -> None:
    cancel = threading.Event()

    class CancelAt(Record):
        def progress(self, stage: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None:
            super().progress(stage, step, steps, fraction, eta_seconds)
            if step == self.at:
                cancel.set()

    for at in (1, model.steps(4, 512) - 1, model.steps(4, 512) + 1):
        record = CancelAt()
        record.at = at
        cancel.clear()
        context = StageContext(stage="coarse", index=0, seed=0, sink=record, cancel=cancel, clock=JobClock([1.0]))
        with pytest.raises(JobCancelled):
            ReconstructCoarse(lambda: model, SMALL).run(views, context)
        assert record.of("progress")[-1][1] == at


def test_pictures_are_resized_as_the_model_was_trained() -> None:
    from PIL import Image

    big = np.random.default_rng(1).integers(64, 192, (1024, 1024, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(big).resize((512, 512), Image.Resampling.BICUBIC))
    found = model_pictures(big[None])
    assert found.shape == (1, 3, 512, 512)
    np.testing.assert_allclose(found[0].permute(1, 2, 0).numpy() * 255, expected, atol=1.6)
    same = model_pictures(big[None, :512, :512])
    assert torch.equal((same[0].permute(1, 2, 0) * 255).round().byte(), torch.from_numpy(big[:512, :512].copy()))


def test_the_reference_bundle_has_the_views_over_the_meshs_normals(coarse: Mesh, views: Views) -> None:
    context, record = stage_context()
    picture = ReferenceBundle().run(ToReference(views, coarse), context)
    assert picture.shape == (1024, 2048, 3)
    assert len(record.of("preview")) == 1
    centre = coarse.positions.mean(axis=0)
    for view, camera in enumerate(bundle_cameras(REFERENCE_RADIUS)):
        np.testing.assert_array_equal(picture[:512, 512 * view : 512 * (view + 1)], views.colours[view])
        tile = picture[512:, 512 * view : 512 * (view + 1)]
        assert (tile[0] == 255).all()
        column, row = camera.pixels(centre, 512).round().astype(int)
        towards = normals_to_world(decode_normals(tile[row, column]), camera)
        assert towards @ camera.axes[2] > 0.9, "the middle of a ball faces the camera"
    outwards = [figure or 0.0 for figure in check_bundle(picture).outwards]
    assert min(outwards) > 0.6, "normals point out of the silhouette"
