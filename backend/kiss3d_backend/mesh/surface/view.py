"""A picture of the object, the camera that took it, and how far each of its pixels can be trusted."""

from __future__ import annotations

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

RIM_PIXELS = 1.5
"""How far the background may have mixed into the object's colours, and how far the mesh may be off."""


@attrs.frozen(eq=False)
class ColourView:
    """One view of the object.

    ``image``: (H, W, 3) float32, sRGB in [0, 1], row 0 at the top. ``mask``: (H, W) bool, where the object is.
    ``camera``: that took it. ``weight``: above 0. ``matte``: (H, W) float32, the covered share of each pixel, where it
    is known better than the mask tells; the background is white then.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    camera: Camera
    weight: float
    matte: NDArray[np.float32] | None = None

    @property
    def covered(self) -> NDArray[np.float32]:
        """(H, W): the matte, or the mask as one."""
        return self.mask.astype(np.float32) if self.matte is None else self.matte


def bundle_views(
    colours: NDArray[np.uint8], masks: NDArray[np.bool_], mattes: NDArray[np.float32] | None = None
) -> list[ColourView]:
    """The views of a bundle: ``colours`` (4, H, W, 3) uint8, ``masks`` and ``mattes`` (4, H, W)."""
    each_matte = [None] * len(masks) if mattes is None else mattes
    parts = zip(colours, masks, bundle_cameras(), VIEW_WEIGHTS, each_matte, strict=True)
    return [
        ColourView(image.astype(np.float32) / 255.0, mask, camera, weight, matte)
        for image, mask, camera, weight, matte in parts
    ]


@attrs.frozen(eq=False)
class Trust:
    """``seen``: (H, W) float32, 1 where a pixel tells of the surface behind it, else 0: the object and
    :data:`RIM_PIXELS` around it, as the mesh may be a little larger. ``preferred``: (H, W) float32, at most ``seen``;
    hardly anything near the silhouette, where the surface may have been shifted, so that a view with a better look at
    it wins, if there is one.
    """

    seen: NDArray[np.float32]
    preferred: NDArray[np.float32]


def trust_in(mask: NDArray[np.bool_]) -> Trust:
    """The trust in each pixel of a view from its mask (H, W)."""
    scale = max(mask.shape) / 512.0
    deep = (_depth(mask) > ERODE_PIXELS * scale).astype(np.float32)
    side = 2 * round(BLUR_PIXELS * scale) + 1
    # The blur must not reach out again over the eroded margin.
    eroded = np.minimum(cv2.GaussianBlur(deep, (side, side), 0), deep)
    seen = (cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) <= RIM_PIXELS * scale).astype(np.float32)
    return Trust(seen, np.asarray(RIM_TRUST * seen + (1.0 - RIM_TRUST) * eroded, dtype=np.float32))


def without_rim(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The picture (H, W, 3) with the object's colours carried outwards over its rim, which the background has mixed
    with, and beyond: each pixel takes the nearest colour from inside. What is too thin for an inside keeps its middle.
    """
    depth = _depth(mask)
    middle = depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8))
    inside = mask & ((depth > RIM_PIXELS * max(mask.shape) / 512.0) | middle)
    if not inside.any():
        return image
    _, labels = cv2.distanceTransformWithLabels(
        (~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.asarray(labels, dtype=np.int32)
    source = np.empty(int(nearest.max()) + 1, dtype=np.int64)
    source[nearest[inside]] = np.flatnonzero(inside)
    return image.reshape(-1, 3)[source[nearest]]


def _depth(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How far inside each pixel is; the border of the picture is a silhouette too."""
    inside = np.pad(mask, 1).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1], dtype=np.float32)
