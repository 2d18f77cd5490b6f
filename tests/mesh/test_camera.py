"""Cameras: where they stand, what they see, and the LRM's frame."""

from __future__ import annotations

import numpy as np
import pytest

from kiss3d_backend.mesh.camera import (
    BUNDLE_AZIMUTHS,
    LRM_RADIUS,
    Camera,
    bundle_cameras,
    from_lrm_frame,
    lrm_camera_vectors,
    lrm_to_world,
    to_lrm_frame,
)

CAMERAS = [*bundle_cameras(), Camera(37.0, -20.0, 4.15, 49.0)]


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_camera_stands_where_the_conventions_say_and_looks_at_the_origin(camera: Camera) -> None:
    a, e = np.radians(camera.azimuth), np.radians(camera.elevation)
    np.testing.assert_allclose(
        camera.eye, camera.radius * np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)]), atol=1e-12
    )
    np.testing.assert_allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.axes) == pytest.approx(1.0)
    assert camera.axes[0, 1] == 0.0, "the horizon is level"
    assert camera.axes[1, 1] > 0
    np.testing.assert_allclose(camera.world_to_camera @ camera.camera_to_world, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(camera.world_to_camera @ [*camera.eye, 1.0], [0, 0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(camera.pixels(np.zeros(3), 512), [255.5, 255.5])


@pytest.mark.parametrize("camera", CAMERAS)
def test_clip_space_and_pixels_tell_the_same_story(camera: Camera) -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (50, 3))
    clip = camera.clip(points)
    device = clip[:, :3] / clip[:, 3:]
    pixels = camera.pixels(points, 512)
    np.testing.assert_allclose(device[:, 0], (2 * pixels[:, 0] + 1) / 512 - 1, atol=1e-12)
    np.testing.assert_allclose(device[:, 1], 1 - (2 * pixels[:, 1] + 1) / 512, atol=1e-12)
    np.testing.assert_allclose(clip[:, 3], camera.radius - points @ camera.axes[2])
    order = np.argsort(clip[:, 3])
    assert (np.diff(device[order, 2]) > 0).all(), "what is farther away has the greater depth"
    assert (np.abs(device[:, 2]) < 1).all()


def test_the_picture_spans_the_field_of_view() -> None:
    camera = Camera(0.0, 0.0)
    half = camera.radius * np.tan(np.radians(15))
    np.testing.assert_allclose(camera.pixels(np.array([[half, half, 0.0]]), 512), [[511.5, -0.5]])


def test_the_second_view_has_the_front_on_the_left() -> None:
    """The bust of the published bundle looks to the left there."""
    column, _ = bundle_cameras()[1].pixels(np.array([0.0, 0.0, 0.5]), 512)
    assert column < 200


def test_the_lrm_sees_its_views_where_the_bundle_has_them() -> None:
    for azimuth, vector in zip(BUNDLE_AZIMUTHS, lrm_camera_vectors(), strict=True):
        pose = vector[:12].reshape(3, 4)
        a, e = np.radians(azimuth), np.radians(5)
        eye = LRM_RADIUS * np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
        np.testing.assert_allclose(pose[:, 3], eye, atol=1e-6)
        np.testing.assert_allclose(pose[:, 2], eye / LRM_RADIUS, atol=1e-6)
        assert pose[2, 1] > 0, "z is up in the LRM's world"
        np.testing.assert_allclose(vector[12:], [1.8660254, 1.8660254, 0.5, 0.5], atol=1e-6)


def test_the_lrm_frame_is_turned_upright_and_back() -> None:
    np.testing.assert_allclose(from_lrm_frame(np.eye(3)), [[0, 0, 1], [1, 0, 0], [0, 1, 0]], atol=1e-7)
    points = np.random.default_rng(1).normal(size=(20, 3)).astype(np.float32)
    np.testing.assert_allclose(to_lrm_frame(from_lrm_frame(points)), points, atol=1e-6)
    assert np.linalg.det(lrm_to_world()) == pytest.approx(1.0)
