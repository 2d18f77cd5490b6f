"""A camera that stays where it is and looks at a part of what it sees (numpy only, no bpy)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from attrs import frozen

from kiss3d_protocol.errors import ParamsInvalid

SENSOR_WIDTH = 36.0
"""Millimetres, Blender's default."""

MARGIN = 0.06
"""How much of the picture stays free on each side."""

_NEAREST = 1e-4


@frozen
class Frame:
    """Settings of a Blender camera with a square picture. ``lens`` in millimetres for a sensor of
    :data:`SENSOR_WIDTH`, None for an orthographic camera; ``ortho_scale`` in scene units, 0 for a perspective one;
    ``shift_x`` and ``shift_y`` in widths of the picture. ``near`` and ``far``: positive distances between which all is
    seen, once the camera has been moved backwards by ``back``, which changes nothing in an orthographic picture."""

    lens: float | None
    ortho_scale: float
    shift_x: float
    shift_y: float
    near: float
    far: float
    back: float = 0.0


def frame(points: npt.NDArray[np.float64], *, perspective: bool) -> Frame:
    """What a camera has to be set to for all ``points`` (N, 3) to be seen, as large as they can be.

    ``points`` in the camera's frame: x right, y up, z backwards. Their perspective stays as it is. Raises
    :class:`ParamsInvalid` when there are none, or when some are not in front of a perspective camera.
    """
    if not len(points):
        raise ParamsInvalid("The selected objects have no extent.", "Select objects that can be rendered.")
    away = -points[:, 2]
    if perspective and away.min() < _NEAREST:
        raise ParamsInvalid(
            "The selected objects reach behind the eye of this view.", "Move the view back until all of them are seen."
        )
    seen = points[:, :2] / away[:, None] if perspective else points[:, :2]
    low, high = seen.min(axis=0), seen.max(axis=0)
    width = max(float((high - low).max()), 1e-6) / (1 - 2 * MARGIN)
    shift_x, shift_y = ((low + high) / 2 / width).tolist()
    nearest, farthest = float(away.min()), float(away.max())
    if perspective:
        return Frame(SENSOR_WIDTH / width, 0.0, shift_x, shift_y, nearest / 2, 2 * farthest)
    # Blender's cameras see nothing that is behind them.
    return Frame(None, width, shift_x, shift_y, width / 2, 2 * width + farthest - nearest, width - nearest)
