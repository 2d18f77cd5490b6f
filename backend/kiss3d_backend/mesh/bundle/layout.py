"""How a bundle picture is put together (arXiv 2503.01370): two rows of four tiles, views above, normals below."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.camera import BUNDLE_AZIMUTHS
from kiss3d_protocol.errors import BundleInvalid

TILE = 512
VIEWS = 4
BUNDLE_SHAPE = (2 * TILE, VIEWS * TILE, 3)


@attrs.frozen(eq=False)
class BundleViews:
    """The tiles of a bundle, in the order of azimuth 0, 90, 180, 270.

    ``colours``: (4, 512, 512, 3) uint8, sRGB on white. ``normals``: (4, 512, 512, 3) uint8, as in
    :mod:`kiss3d_backend.mesh.bundle.normals`, on white.
    """

    colours: NDArray[np.uint8]
    normals: NDArray[np.uint8]


def view_name(view: int) -> str:
    """What a person calls the view 0, 1, 2 or 3."""
    return f"view {view + 1} ({('front', 'right', 'back', 'left')[view]}, azimuth {BUNDLE_AZIMUTHS[view]:.0f})"


def split_bundle(picture: NDArray[np.uint8]) -> BundleViews:
    """The tiles of a picture (1024, 2048, 3) uint8. Raises :class:`BundleInvalid` for another size."""
    if picture.shape != BUNDLE_SHAPE or picture.dtype != np.uint8:
        height, width = (*picture.shape, 0, 0)[:2]
        raise BundleInvalid(f"A bundle has {4 * TILE} x {2 * TILE} pixels, but this picture has {width} x {height}.")
    tiles = picture.reshape(2, TILE, VIEWS, TILE, 3).swapaxes(1, 2)
    return BundleViews(np.ascontiguousarray(tiles[0]), np.ascontiguousarray(tiles[1]))


def join_bundle(views: BundleViews) -> NDArray[np.uint8]:
    """The picture (1024, 2048, 3) uint8 of the tiles."""
    return np.stack([views.colours, views.normals]).swapaxes(1, 2).reshape(BUNDLE_SHAPE)
