"""Colours of points on a surface from the views that see them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.at_once import Check, at_once
from kiss3d_backend.mesh.surface.view import RIM_TRUST, ColourView, Trust, trust_in, without_rim
from kiss3d_backend.mesh.surface.visibility import CONSTANT_BIAS, STEEPEST, DepthMap, depth_map

FACING = 0.05
"""A view counts where the cosine between the normal and the way to the eye is above this."""

CONFIDENCE = 0.02
"""The sum of view weight x cosine squared x trust from which a colour counts as seen. The published threshold of .1
loses what all views see at a flat angle, such as the seat of a chair, and tells nothing of it better.
"""


@attrs.frozen(eq=False)
class Projection:
    """``colours``: (P, 3) float32, sRGB in [0, 1]; 0 where no view sees the point. ``confidence``: (P,) float32, from 0
    (nobody sees it) over :data:`CONFIDENCE` (well enough) upwards.
    """

    colours: NDArray[np.float32]
    confidence: NDArray[np.float32]


class Projector:
    """Pictures that can be looked up at any point of one mesh. Its cost is one depth map for each view.

    ``check``: called often; what it raises comes out of here.
    """

    def __init__(
        self,
        positions: NDArray[np.float32],
        triangles: NDArray[np.int32],
        views: Sequence[ColourView],
        *,
        check: Check = lambda: None,
    ) -> None:
        self._views: list[_Prepared] = at_once(check, [partial(_prepare, positions, triangles, view) for view in views])

    def at(self, points: NDArray[np.float32], normals: NDArray[np.float32]) -> Projection:
        """``points``: (P, 3) on the mesh; ``normals``: (P, 3), of any length."""
        # Numba takes half a second to import.
        from kiss3d_backend.mesh.surface.kernels import add_view

        points = np.ascontiguousarray(points, dtype=np.float32)
        normals = np.ascontiguousarray(normals, dtype=np.float32)
        totals = np.zeros((len(points), 5))
        for prepared in self._views:
            view, depth = prepared.view, prepared.depth.farthest
            camera = view.camera.world_to_clip, view.camera.eye, float(view.weight)
            limits = FACING, CONSTANT_BIAS, 2.0 * view.camera.tangent / len(depth), STEEPEST
            add_view(points, normals, camera, depth, limits, prepared.planes, totals)
        colours = np.clip(totals[:, :3] / np.maximum(totals[:, 3:4], 1e-12), 0.0, 1.0)
        return Projection(colours.astype(np.float32), totals[:, 4].astype(np.float32))


@attrs.frozen(eq=False)
class _Prepared:
    """``planes``: (H, W, 5) float32: red, green, blue, ``Trust.seen`` and ``Trust.preferred``."""

    view: ColourView
    depth: DepthMap
    planes: NDArray[np.float32]


def _prepare(positions: NDArray[np.float32], triangles: NDArray[np.int32], view: ColourView, check: Check) -> _Prepared:
    depth = depth_map(positions, triangles, view)
    check()
    trust = _without(trust_in(view.mask), depth.behind)
    planes = [*np.moveaxis(without_rim(view.image, view.mask), 2, 0), trust.seen, trust.preferred]
    return _Prepared(view, depth, np.stack(planes, axis=2, dtype=np.float32))


def _without(trust: Trust, behind: NDArray[np.bool_]) -> Trust:
    """Pixels just behind an inner silhouette are trusted as little as those at the outer one."""
    return Trust(trust.seen, np.where(behind, np.minimum(trust.preferred, RIM_TRUST), trust.preferred))
