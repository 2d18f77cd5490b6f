"""Four pictures that the user brought, as the views of a bundle."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.intake.decode import read_picture
from kiss3d_backend.mesh.bundle.check import colour_mask
from kiss3d_backend.mesh.bundle.layout import TILE, VIEWS, view_name
from kiss3d_backend.mesh.on_white import on_white
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Views
from kiss3d_protocol.errors import ViewEmpty


class ReadViews(Stage[tuple[bytes, ...], Views]):
    """Front, right, back, left: azimuth 0, 90, 180, 270. They stay as they are: one size of the object in all four.

    A picture that is not square is padded with white; transparent parts become white. Raises :class:`ViewEmpty` for a
    view in which nothing differs from its background, and what pictures raise.
    """

    name = "read_views"
    title = "Reading the views"
    weight = 1.0

    def run(self, value: tuple[bytes, ...], context: StageContext) -> Views:
        tiles = []
        for view, data in enumerate(value):
            tile = _tile(read_picture(data).rgba)
            if not colour_mask(tile).any():
                raise ViewEmpty(f"There is no object in {view_name(view)}.")
            tiles.append(tile)
            context.progress(view + 1, VIEWS)
        return Views(np.stack(tiles))


def _tile(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    picture = on_white(rgba)
    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), 255, dtype=np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    method = cv2.INTER_AREA if side > TILE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (TILE, TILE), interpolation=method), dtype=np.uint8)
