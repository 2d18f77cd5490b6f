"""The camera of a snapshot: all is seen, as large as can be, in the perspective of where the camera stands."""

from __future__ import annotations

import numpy as np
import pytest
from blender_addon.capture.framing import MARGIN, SENSOR_WIDTH, Frame, frame

from kiss3d_protocol.errors import ParamsInvalid

POINTS = np.random.default_rng(0).uniform((-1, 2, -9), (3, 4, -5), (50, 3))
REACHING_BEHIND = POINTS + np.array((0, 0, 7))


def picture_of(points: np.ndarray, shown: Frame) -> np.ndarray:
    """Where Blender's camera draws points: 0 to 1 from left to right and from bottom to top."""
    if shown.lens is None:
        return points[:, :2] / shown.ortho_scale + 0.5 - (shown.shift_x, shown.shift_y)
    on_sensor = points[:, :2] / -points[:, 2:] * shown.lens / SENSOR_WIDTH
    return on_sensor + 0.5 - (shown.shift_x, shown.shift_y)


@pytest.mark.parametrize("perspective", [True, False])
def test_points_fill_the_picture_but_for_the_margin(perspective: bool) -> None:
    shown = frame(POINTS, perspective=perspective)
    drawn = picture_of(POINTS, shown)
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    assert np.allclose((low + high) / 2, 0.5) and np.isclose((high - low).max(), 1 - 2 * MARGIN)
    assert_all_are_before_the_camera(POINTS, shown)
    assert perspective is (shown.back == 0), "a camera with perspective stays where it is"


def assert_all_are_before_the_camera(points: np.ndarray, shown: Frame) -> None:
    away = shown.back - points[:, 2]
    assert 0 < shown.near < away.min() and away.max() < shown.far


def test_points_behind_an_orthographic_eye_are_seen() -> None:
    shown = frame(REACHING_BEHIND, perspective=False)
    assert_all_are_before_the_camera(REACHING_BEHIND, shown)


@pytest.mark.parametrize(("points", "words"), [(REACHING_BEHIND, "behind the eye"), (np.empty((0, 3)), "no extent")])
def test_what_cannot_be_framed(points: np.ndarray, words: str) -> None:
    with pytest.raises(ParamsInvalid, match=words):
        frame(points, perspective=True)
