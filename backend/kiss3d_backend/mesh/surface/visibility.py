"""What a view sees of a mesh."""

from __future__ import annotations

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.raster import rasterize
from kiss3d_backend.mesh.surface.view import ColourView

_FINER = 2
_STEEPEST = 20.0
_CONSTANT_BIAS = 1e-3
_JUMP = 0.03
_JUMP_PIXELS = 3


@attrs.frozen(eq=False)
class DepthMap:
    """``farthest``: (h, w) float32, the distance along the camera's axis up to which a point at this pixel is visible:
    the greatest of a pixel and its eight neighbours, infinite where the view sees past the mesh.
    ``behind``: (H, W) bool at the picture's size, pixels just behind a silhouette inside the object: a surface or a
    picture that is a little off puts the colours of the front part there.
    """

    farthest: NDArray[np.float32]
    behind: NDArray[np.bool_]


def depth_map(positions: NDArray[np.float32], triangles: NDArray[np.int32], view: ColourView) -> DepthMap:
    """Depth at twice the picture's size. ``positions``: (V, 3); ``triangles``: (T, 3), of either orientation."""
    height, width = view.mask.shape
    clip = view.camera.clip(positions).astype(np.float32)
    fragments = rasterize(clip[None], triangles, (_FINER * height, _FINER * width))
    triangle = fragments.triangle[0]
    covered = triangle >= 0
    distance = np.full(triangle.shape, np.inf, dtype=np.float32)
    corners = clip[triangles[triangle[covered]], 3]
    distance[covered] = np.einsum("ij,ij->i", corners, fragments.barycentric[0][covered])
    farthest = np.asarray(cv2.dilate(distance, np.ones((3, 3), np.uint8)), dtype=np.float32)

    reach = 2 * _JUMP_PIXELS * _FINER + 1
    nearest = cv2.erode(distance, np.ones((reach, reach), np.uint8))
    with np.errstate(invalid="ignore"):  # infinity minus infinity, where there is nothing
        behind = covered & (distance - nearest > _JUMP * nearest)
    return DepthMap(farthest, behind[::_FINER, ::_FINER])


def to_clip(points: NDArray[np.float32], view: ColourView) -> NDArray[np.float32]:
    """Points (3, P) in clip space, (4, P) float32."""
    matrix = view.camera.world_to_clip.astype(np.float32)
    return np.stack([row[0] * points[0] + row[1] * points[1] + row[2] * points[2] + row[3] for row in matrix])


def is_visible(
    clip: NDArray[np.float32], cosine: NDArray[np.float32], depth: DepthMap, view: ColourView
) -> NDArray[np.bool_]:
    """Whether the view sees points, (P,) bool. ``clip``: (4, P); ``cosine``: (P,), of the angle between the surface's
    normal and the way to the eye: the steeper the surface, the more its depth varies within a pixel.
    """
    height, width = depth.farthest.shape
    distance = clip[3]
    with np.errstate(divide="ignore", invalid="ignore"):
        column = np.floor((clip[0] / distance + 1.0) * (width / 2.0))
        row = np.floor((1.0 - clip[1] / distance) * (height / 2.0))
    within = (distance > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    column = np.where(within, column, 0).astype(np.int32)
    row = np.where(within, row, 0).astype(np.int32)
    pixel = (2.0 * view.camera.tangent / height) * distance
    steepness = np.minimum(np.sqrt(np.maximum(1.0 - cosine**2, 0.0)) / np.maximum(cosine, 1e-6), _STEEPEST)
    return within & (distance <= depth.farthest[row, column] + pixel * steepness + _CONSTANT_BIAS * distance)
