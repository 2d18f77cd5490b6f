"""Colours for every vertex of a mesh: seen by the views, or filled in."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.surface.fill import fill_by_diffusion
from kiss3d_backend.mesh.surface.project import CONFIDENCE, Projector
from kiss3d_backend.mesh.surface.view import ColourView


@attrs.frozen(eq=False)
class SurfaceColours:
    """``colours``: (V, 3) float32, sRGB in [0, 1]. ``seen_share``: the share of vertices that some view saw well.
    ``unseen_parts``: disconnected parts that no view saw; they took the colour of what is near them (worth a warning).
    """

    colours: NDArray[np.float32]
    seen_share: float
    unseen_parts: int

    def rgba(self) -> NDArray[np.uint8]:
        """(V, 4) uint8, opaque, as :class:`Mesh` has them."""
        rgb = (np.clip(self.colours, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
        return np.concatenate([rgb, np.full((len(rgb), 1), 255, dtype=np.uint8)], axis=1)


def colour_surface(
    positions: NDArray[np.float32],
    triangles: NDArray[np.int32],
    views: Sequence[ColourView],
    projector: Projector | None = None,
) -> SurfaceColours:
    """Projects the views on the vertices of a mesh and fills what none of them saw.

    ``positions``: (V, 3); ``triangles``: (T, 3), counter-clockwise from outside. ``projector``: of this mesh and
    these views, where there is one already.
    """
    if projector is None:
        projector = Projector(positions, triangles, views)
    seen = projector.at(positions, vertex_normals(positions, triangles))
    certainty = np.minimum(seen.confidence / CONFIDENCE, 1.0)
    filled = fill_by_diffusion(positions, triangles, seen.colours, certainty)
    share = float((certainty >= 1.0).mean()) if len(certainty) else 0.0
    return SurfaceColours(filled.colours, share, filled.unseen_parts)
