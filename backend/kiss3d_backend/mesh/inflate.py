"""A silhouette blown up to a closed body.

The body is the set z^2 < u(x, y), where u solves -div grad u = 4 inside the outline and is zero on it. For a disc
that is a ball; a strip gets about the thickness of its own width; the rim is rounded everywhere. Only the half above
the plane of the outline is extracted (marching cubes with that plane as a layer of nodes); its mirror image closes it,
so front and back meet along edges of the mesh.
"""

from __future__ import annotations

import attrs
import numpy as np
import scipy.ndimage as ndi
from numpy.typing import NDArray

from kiss3d_backend.mesh.marching_cubes import zero_surface
from kiss3d_backend.mesh.poisson import solve_inside
from kiss3d_backend.mesh.silhouette import SilhouetteGrid

_SOURCE = 4.0
_NEAREST_TO_NODE = 0.06


@attrs.frozen(eq=False)
class Body:
    """A closed mesh around a height field, in cells of its grid.

    ``positions``: (V, 3) float64: column, row (downwards), and height above the plane of the outline.
    ``triangles``: (T, 3) int32. ``u``: (R, C) float64, the square of the half thickness, negative outside.
    """

    positions: NDArray[np.float64]
    triangles: NDArray[np.int32]
    u: NDArray[np.float64]


def inflate(grid: SilhouetteGrid) -> Body:
    """The body over a silhouette: watertight, one component, mirror-symmetric about its plane."""
    u = _extended(solve_inside(grid.level, _SOURCE), grid.level)
    layers = int(np.ceil(np.sqrt(u.max()))) + 3
    height = np.arange(layers, dtype=np.float64)
    slope = np.hypot(np.gradient(u, axis=0), np.gradient(u, axis=1))
    steepness = np.sqrt(slope[..., None] ** 2 + 4.0 * height**2 + 1e-6)
    distance = ((u[..., None] - height**2) / steepness).astype(np.float32)
    # A surface through a node would make triangles of no area.
    away = np.where(distance > 0, np.float32(_NEAREST_TO_NODE), np.float32(-_NEAREST_TO_NODE))
    distance = np.where(np.abs(distance) < _NEAREST_TO_NODE, away, distance)
    vertices, faces = zero_surface(distance)
    half = vertices[:, [1, 0, 2]].astype(np.float64)
    positions, triangles = _mirrored(half, faces.astype(np.int64))
    return Body(positions, _facing_outwards(positions, triangles), u)


def _extended(u: NDArray[np.float64], level: NDArray[np.float32]) -> NDArray[np.float64]:
    """u continued below zero outside the outline, at the slope that it has there."""
    inside = level > 0
    rim = inside & ~ndi.binary_erosion(inside, np.ones((3, 3)))
    above = np.where(rim, level, 0.0)
    slope = ndi.gaussian_filter(np.where(rim, u, 0.0), 1.5) / (ndi.gaussian_filter(above, 1.5) + 1e-12)
    reach = ndi.gaussian_filter(rim.astype(np.float64), 1.5) > 1e-4
    slope = np.where(reach, slope, slope[rim].mean())
    # Never level with the outline itself: a node must lie on one side.
    below = np.minimum(slope * level.astype(np.float64), -1e-4)
    return np.where(inside, np.maximum(u, 1e-4), below)


def _mirrored(half: NDArray[np.float64], faces: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    on_plane = half[:, 2] == 0.0
    partner = np.arange(len(half))
    partner[~on_plane] = len(half) + np.arange(int((~on_plane).sum()))
    below = half[~on_plane] * (1.0, 1.0, -1.0)
    return np.concatenate([half, below]), np.concatenate([faces, partner[faces][:, ::-1]])


def _facing_outwards(positions: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.int32]:
    """Rows run downwards, so in (column, row, height) a mesh that faces outwards has a negative volume."""
    a, b, c = (positions[triangles[:, corner]] for corner in range(3))
    volume = np.einsum("ij,ij->", a, np.cross(b, c))
    return np.ascontiguousarray(triangles if volume < 0 else triangles[:, ::-1]).astype(np.int32)
