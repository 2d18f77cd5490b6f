"""Where the outline of an object lies in a picture, finer than its pixels."""

from __future__ import annotations

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree
from skimage.measure import find_contours

from kiss3d_backend.mesh.bundle.masks import INSIDE
from kiss3d_backend.mesh.camera import Camera
from kiss3d_backend.mesh.raster import rasterize

_TURN = 4.0
"""Pixels that a turn of the outline by one radian counts for: the two sides of a thin limb are not mixed up."""

_REACH = 4.0
_FINER = 3
_WITHIN = 0.1


@attrs.frozen(eq=False)
class Outline:
    """The P short pieces of an outline, in pixels, 0 the centre of the first one, columns before rows.

    ``points``: (P, 2), their middles. ``normals``: (P, 2), unit, away from the object. ``lengths``: (P,).
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    lengths: NDArray[np.float64]

    def tree(self) -> KDTree:
        """For :func:`nearest`."""
        return KDTree(np.concatenate([self.points, _TURN * self.normals], axis=1))


def trace(matte: NDArray[np.float32]) -> Outline:
    """The outline of a matte (H, W), where half is covered; the picture's border is no outline."""
    starts, ends = [], []
    for line in find_contours(np.pad(matte, 1), INSIDE):
        starts.append(line[:-1, ::-1] - 1.0)
        ends.append(line[1:, ::-1] - 1.0)
    if not starts:
        return Outline(np.empty((0, 2)), np.empty((0, 2)), np.empty(0))
    start, end = np.concatenate(starts), np.concatenate(ends)
    along = end - start
    lengths = np.linalg.norm(along, axis=1)
    points = (start + end) / 2
    height, width = matte.shape
    within = (points > 0).all(axis=1) & (points[:, 0] < width - 1) & (points[:, 1] < height - 1) & (lengths > 1e-6)
    # The library goes around with the object always on one side.
    normals = np.stack([along[:, 1], -along[:, 0]], axis=1)[within] / lengths[within, None]
    return Outline(points[within], normals, lengths[within])


@attrs.frozen(eq=False)
class DrawnOutline:
    """The outline of a drawn mesh, and the places of its surface that make it.

    ``outline``: P pieces. ``triangle``: (P,) int32; ``barycentric``: (P, 3).
    """

    outline: Outline
    triangle: NDArray[np.int32]
    barycentric: NDArray[np.float32]


def drawn_outline(
    positions: NDArray[np.float32], triangles: NDArray[np.int32], camera: Camera, size: int
) -> DrawnOutline:
    """Of a mesh in a picture of ``size`` x ``size`` pixels, traced as a view's own outline is."""
    fine = size * _FINER
    fragments = rasterize(camera.clip(positions).astype(np.float32)[None], triangles, (fine, fine))
    triangle = fragments.triangle[0]
    covered = triangle >= 0
    # Nine additions of whole pictures: many times faster than a mean over two axes.
    parts = [covered[row::_FINER, column::_FINER] for row in range(_FINER) for column in range(_FINER)]
    matte = np.asarray(sum(parts[1:], parts[0].astype(np.uint8)) / np.float32(_FINER**2), dtype=np.float32)
    outline = trace(matte)
    if not len(outline.points):
        return DrawnOutline(outline, np.empty(0, np.int32), np.empty((0, 3), np.float32))
    inner = (outline.points - _WITHIN * outline.normals + 0.5) * _FINER
    column, row = np.clip(np.floor(inner), 0, fine - 1).astype(np.int64).T
    # Only the part of the picture with the object in it: what is nearest lies there.
    (top, bottom), (left, right) = (
        (min(int(place.min()), int(shown[0])), max(int(place.max()), int(shown[-1])) + 1)
        for place, shown in ((row, np.flatnonzero(covered.any(1))), (column, np.flatnonzero(covered.any(0))))
    )
    here = covered[top:bottom, left:right]
    _, labels = cv2.distanceTransformWithLabels(
        (~here).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    label = np.asarray(labels, dtype=np.int32)
    source = np.empty(int(label.max()) + 1, dtype=np.int64)
    shown_row, shown_column = np.nonzero(here)
    source[label[here]] = (shown_row + top) * fine + shown_column + left
    place = source[label[row - top, column - left]]
    return DrawnOutline(outline, triangle.ravel()[place], fragments.barycentric[0].reshape(-1, 3)[place])


def nearest(drawn: Outline, wanted: KDTree) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of pieces, of ``drawn`` and of the outline of the tree ``wanted``: near, and facing the same way."""
    distance, found = wanted.query(
        np.concatenate([drawn.points, _TURN * drawn.normals], axis=1), distance_upper_bound=_REACH
    )
    hit = np.flatnonzero(np.isfinite(distance))
    return hit, np.asarray(found)[hit]
