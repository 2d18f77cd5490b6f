"""Colours of points on a surface from the views that see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.surface.view import RIM_TRUST, ColourView, Trust, trust_in, without_rim
from kiss3d_backend.mesh.surface.visibility import DepthMap, depth_map, is_visible, to_clip

FACING = 0.05
"""A view counts where the cosine between the normal and the way to the eye is above this."""

CONFIDENCE = 0.02
"""The sum of view weight x cosine squared x trust from which a colour counts as seen. The published threshold of .1
loses what all views see at a flat angle, such as the seat of a chair, and tells nothing of it better.
"""

_ROW = 1024


@attrs.frozen(eq=False)
class Projection:
    """``colours``: (P, 3) float32, sRGB in [0, 1]; 0 where no view sees the point. ``confidence``: (P,) float32, from 0
    (nobody sees it) over :data:`CONFIDENCE` (well enough) upwards.
    """

    colours: NDArray[np.float32]
    confidence: NDArray[np.float32]


class Projector:
    """Pictures that can be looked up at any point of one mesh. Its cost is one depth map for each view.

    ``check``: called before each; what it raises comes out of here.
    """

    def __init__(
        self,
        positions: NDArray[np.float32],
        triangles: NDArray[np.int32],
        views: Sequence[ColourView],
        *,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._views: list[_Prepared] = []
        for view in views:
            check()
            self._views.append(_prepare(view, depth_map(positions, triangles, view)))

    def at(self, points: NDArray[np.float32], normals: NDArray[np.float32]) -> Projection:
        """``points``: (P, 3) on the mesh; ``normals``: (P, 3), of any length."""
        total = np.zeros((3, len(points)), dtype=np.float32)
        weights = np.zeros(len(points), dtype=np.float32)
        confidence = np.zeros(len(points), dtype=np.float32)
        for prepared, (index, clip, cosine) in zip(self._views, self._seen(points, normals), strict=True):
            seen = _look_up(prepared.planes, clip)
            share = prepared.view.weight * cosine**2
            weight = share * seen[4]
            for channel in range(3):
                total[channel, index] += seen[channel] * weight
            weights[index] += weight
            confidence[index] += share * seen[3]
        colours = np.clip(total / np.maximum(weights, 1e-12), 0.0, 1.0)
        return Projection(np.ascontiguousarray(colours.T, dtype=np.float32), confidence)

    def _seen(self, points: NDArray[np.float32], normals: NDArray[np.float32]) -> Iterator[_Seen]:
        """Of each view in turn."""
        # One contiguous row for each axis: several times faster than (P, 3) at these sizes.
        place = np.ascontiguousarray(points.T, dtype=np.float32)
        normal = np.ascontiguousarray(normals.T, dtype=np.float32)
        lengths = np.maximum(np.sqrt(_dot(normal, normal)), 1e-12)
        for prepared in self._views:
            view = prepared.view
            towards = view.camera.eye.astype(np.float32)[:, None] - place
            cosine = (_dot(normal, towards) / (np.sqrt(_dot(towards, towards)) * lengths)).astype(np.float32)
            facing = np.flatnonzero(cosine > FACING)
            clip = to_clip(place[:, facing], view)
            visible = np.flatnonzero(is_visible(clip, cosine[facing], prepared.depth, view))
            index = facing[visible]
            yield index, clip[:, visible], cosine[index]


def _dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


_Seen = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]
"""Which points a view sees, (p,), where they are in its clip space, (4, p), and the cosine at each, (p,)."""


@attrs.frozen(eq=False)
class _Prepared:
    """``planes``: five of (H, W) float32: red, green, blue, ``Trust.seen`` and ``Trust.preferred``."""

    view: ColourView
    depth: DepthMap
    planes: list[NDArray[np.float32]]


def _prepare(view: ColourView, depth: DepthMap) -> _Prepared:
    trust = _without(trust_in(view.mask), depth.behind)
    planes = [*np.moveaxis(without_rim(view.image, view.mask), 2, 0), trust.seen, trust.preferred]
    return _Prepared(view, depth, [np.ascontiguousarray(plane, dtype=np.float32) for plane in planes])


def _without(trust: Trust, behind: NDArray[np.bool_]) -> Trust:
    """Pixels just behind an inner silhouette are trusted as little as those at the outer one."""
    return Trust(trust.seen, np.where(behind, np.minimum(trust.preferred, RIM_TRUST), trust.preferred))


def _look_up(planes: Sequence[NDArray[np.float32]], clip: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Bilinear values, (P,) of each plane (H, W), at points in clip space (4, P)."""
    height, width = planes[0].shape
    count = clip.shape[1]
    rows = max(-(-count // _ROW), 1)
    at = np.zeros((2, rows * _ROW), dtype=np.float32)
    at[0, :count] = (clip[0] / clip[3] + 1.0) * (width / 2.0) - 0.5
    at[1, :count] = (1.0 - clip[1] / clip[3]) * (height / 2.0) - 0.5
    across, down = at.reshape(2, rows, _ROW)
    values = [cv2.remap(plane, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for plane in planes]
    return [np.asarray(value, dtype=np.float32).ravel()[:count] for value in values]
