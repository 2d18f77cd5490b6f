"""The colours of a body that was inflated from a cut-out: the picture in front, its large colours behind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.large_colours import colours_behind, large_colours
from kiss3d_backend.mesh.look_up import look_up
from kiss3d_backend.mesh.resample import resample

PICTURE_FROM, PICTURE_FULL = 0.18, 0.52
_OBJECT_SHARE = 0.94


class BodyColours:
    """Colours at any point of the body.

    Where the surface turns away from the picture (the normal's z from :data:`PICTURE_FULL` down to
    :data:`PICTURE_FROM`) the picture gives way to large-scale colours taken from well inside the object, because there
    a pixel of the picture would be smeared along the side.

    ``rgba``: (S, S, 4) uint8, sRGB with straight alpha, the object's own colours also where alpha is 0. ``detail``:
    pixels that the object's longer side is looked at with; a texture of about that density shows no aliasing.
    """

    def __init__(self, rgba: NDArray[np.uint8], detail: int) -> None:
        self._size = len(rgba)
        self._left, self._top, self._step = _window(rgba[..., 3], detail)
        along = np.asarray((np.arange(detail) + 0.5) * self._step - 0.5, dtype=np.float64)
        seen = resample(rgba.astype(np.float32) / 255.0, along + np.float64(self._top), along + np.float64(self._left))
        picture = np.clip(seen, 0.0, 1.0)
        self._picture = np.ascontiguousarray(picture[..., :3])
        self._around = large_colours(self._picture, picture[..., 3])
        self._behind = colours_behind(self._around, picture[..., 3])

    def at(self, points: NDArray[np.float32], normals: NDArray[np.float32]) -> NDArray[np.float32]:
        """sRGB (P, 3) in [0, 1].

        ``points``: (P, 3) in the cut-out's frame: its square has side 1 about the origin, x to the right, y up, the
        front towards +z. ``normals``: (P, 3), of any length, outwards.
        """
        facing = normals[:, 2] / np.maximum(np.linalg.norm(normals, axis=1), 1e-12)
        share = np.clip((facing - PICTURE_FROM) / (PICTURE_FULL - PICTURE_FROM), 0.0, 1.0)
        share *= share * (3.0 - 2.0 * share)
        colours = self._look_up(self._around, points)
        behind = points[:, 2] < 0
        colours[behind] = self._look_up(self._behind, points[behind])
        front = np.flatnonzero(~behind & (share > 0))
        seen = self._look_up(self._picture, points[front])
        colours[front] += (seen - colours[front]) * share[front, None].astype(np.float32)
        return np.clip(colours, 0.0, 1.0)

    def _look_up(self, image: NDArray[np.float32], points: NDArray[np.float32]) -> NDArray[np.float32]:
        # Pixels of the cut-out, then those of the window, which the image covers whatever its size.
        scale = len(image) / (self._step * len(self._picture))
        columns = ((points[:, 0] + 0.5) * self._size - self._left) * scale - 0.5
        rows = ((0.5 - points[:, 1]) * self._size - self._top) * scale - 0.5
        return look_up(image, columns, rows)


def _window(alpha: NDArray[np.uint8], detail: int) -> tuple[float, float, float]:
    """Left, top and step, in pixels of the cut-out, of a square of ``detail`` steps around the object."""
    rows, columns = (np.flatnonzero((alpha > 127).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return 0.0, 0.0, len(alpha) / detail
    side = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    side = side / _OBJECT_SHARE
    return (columns[0] + columns[-1] + 1 - side) / 2, (rows[0] + rows[-1] + 1 - side) / 2, side / detail
