"""What flows from stage to stage. :class:`Mesh` and :class:`Texture` are the mesh package's own, named here too."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.types import Mesh, Texture

__all__ = ["Bundle", "BundleViews", "Cutout", "Mesh", "Picture", "Texture", "Views"]


@attrs.frozen(eq=False)
class Picture:
    """A decoded picture.

    ``rgba``: (H, W, 4) uint8, sRGB with straight alpha, row 0 at the top, upright.
    """

    rgba: NDArray[np.uint8]


@attrs.frozen(eq=False)
class Cutout:
    """The object alone, centred in a square.

    ``rgba``: (S, S, 4) uint8, sRGB with straight alpha, row 0 at the top. Alpha is the matte. Colours are the
    object's own, also where the matte is partial or zero: nothing of the background is left in them. The
    object's longer side takes :data:`OBJECT_SHARE` of S.
    """

    rgba: NDArray[np.uint8]


OBJECT_SHARE = 0.85
"""The part of a cut-out's side that the object takes (as in the published pipeline)."""


@attrs.frozen(eq=False)
class Views:
    """Four views of one object in a bundle's order: azimuth 0, 90, 180, 270, elevation 5.

    ``colours``: (4, S, S, 3) uint8, sRGB, the object on white; S = 512.
    """

    colours: NDArray[np.uint8]


@attrs.frozen(eq=False)
class Bundle:
    """A 3D bundle image. ``picture``: (1024, 2048, 3) uint8, sRGB. ``seed``: of the noise that it was made from."""

    picture: NDArray[np.uint8]
    seed: int


@attrs.frozen(eq=False)
class BundleViews:
    """The four views of a bundle, azimuth 0, 90, 180, 270; N = 4, S = 512.

    ``colours``: (N, S, S, 3) uint8, sRGB, the object on white. ``masks``: (N, S, S) bool. ``mattes``: (N, S, S)
    float32, the covered share of each pixel. ``normals``: (N, S, S, 3) float32, in the bundle's world, of unit
    length; zero where less than a third of the pixel is covered.
    """

    colours: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    mattes: NDArray[np.float32]
    normals: NDArray[np.float32]
