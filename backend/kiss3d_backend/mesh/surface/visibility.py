"""What a view sees of a mesh."""

from __future__ import annotations

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.raster import rasterize
from kiss3d_backend.mesh.surface.view import ColourView

_FINER = 2
STEEPEST = 20.0
"""A point may be farther away than the depth of its pixel by a pixel times the slope of its surface, up to this one."""

CONSTANT_BIAS = 1e-3
"""And by this share of the distance."""

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
