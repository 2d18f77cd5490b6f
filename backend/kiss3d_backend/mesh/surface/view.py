"""A picture of the object, the camera that took it, and how far each of its pixels can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.camera import Camera, bundle_cameras

VIEW_WEIGHTS = (1.0, 0.5, 1.0, 0.5)
"""The published weights of the bundle's views: front, side, back, side."""

ERODE_PIXELS, BLUR_PIXELS = 10, 5
"""The published margin at the silhouette, for pictures of 512 pixels."""

RIM_TRUST = 0.02
"""How far a pixel near a silhouette is preferred, beside 1 for one well inside."""

_RIM_PIXELS = 2


@attrs.frozen(eq=False)
class ColourView:
    """One view of the object.

    ``image``: (H, W, 3) float32, sRGB in [0, 1], row 0 at the top. ``mask``: (H, W) bool, where the object is.
    ``camera``: that took it. ``weight``: above 0.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    camera: Camera
    weight: float


def bundle_views(
    colours: NDArray[np.uint8], masks: NDArray[np.bool_], cameras: Sequence[Camera] | None = None
) -> list[ColourView]:
    """The views of a bundle: ``colours`` (4, H, W, 3) uint8, ``masks`` (4, H, W), ``cameras`` those of a bundle unless
    given.
    """
    parts = zip(colours, masks, cameras or bundle_cameras(), VIEW_WEIGHTS, strict=True)
    return [ColourView(image.astype(np.float32) / 255.0, mask, camera, weight) for image, mask, camera, weight in parts]


@attrs.frozen(eq=False)
class Trust:
    """``seen``: (H, W) float32 in [0, 1], what a pixel says of the surface behind it; 0 on the outermost pixels, which
    the background has mixed with. ``preferred``: (H, W) float32, at most ``seen``; hardly anything near the silhouette,
    where the surface may have been shifted, so that a view with a better look at it wins, if there is one.
    """

    seen: NDArray[np.float32]
    preferred: NDArray[np.float32]


def trust_in(mask: NDArray[np.bool_]) -> Trust:
    """The trust in each pixel of a view from its mask (H, W)."""
    scale = max(mask.shape) / 512.0
    inside = np.pad(mask, 1).astype(np.uint8)  # the border of the picture is a silhouette too
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    deep = (depth > ERODE_PIXELS * scale).astype(np.float32)
    side = 2 * round(BLUR_PIXELS * scale) + 1
    # The blur must not reach out again over the eroded margin.
    eroded = np.minimum(cv2.GaussianBlur(deep, (side, side), 0), deep) if deep.any() else deep
    seen = np.clip(depth / (_RIM_PIXELS * scale) - 0.5, 0.0, 1.0).astype(np.float32)
    return Trust(seen, (RIM_TRUST * seen + (1.0 - RIM_TRUST) * eroded).astype(np.float32))
