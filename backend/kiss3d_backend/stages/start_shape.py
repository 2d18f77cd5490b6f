"""Where refinement starts: the mesh that was given, made sound, or the visual hull of the four masks."""

from __future__ import annotations

from typing import Literal

import attrs

from kiss3d_backend.mesh.cleanup.clean import clean
from kiss3d_backend.mesh.hull import visual_hull
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.view_fit import silhouette_ious
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import BundleViews

LEAST_IOU = 0.6
"""Of the silhouettes in every view. Refinement moves a surface; it does not grow what is missing altogether."""


@attrs.frozen(eq=False)
class Start:
    """``coarse``: a mesh in the bundle's world, or None."""

    views: BundleViews
    coarse: Mesh | None


@attrs.frozen(eq=False)
class Started:
    """``mesh``: closed and manifold, in the bundle's world. ``origin``: what it comes from."""

    mesh: Mesh
    origin: Literal["coarse", "hull"]


class StartShape(Stage[Start, Started]):
    """The coarse mesh; the hull where there is none, and, with the warning ``mesh.coarse_doubtful``, where it does not
    fill the views' outlines.

    Raises :class:`ViewEmpty`, :class:`ViewsDisagree` and :class:`MeshEmpty`.
    """

    name = "start"
    title = "Starting shape"
    weight = 2.0

    def run(self, value: Start, context: StageContext) -> Started:
        if value.coarse is not None and self._fills_outlines(value.coarse, value.views, context):
            cleaned = clean(value.coarse.positions, value.coarse.triangles)
            context.progress(1, 2)
            return Started(Mesh(cleaned.positions, cleaned.triangles), "coarse")
        return Started(visual_hull(value.views.mattes), "hull")

    def _fills_outlines(self, coarse: Mesh, views: BundleViews, context: StageContext) -> bool:
        least = silhouette_ious(coarse.positions, coarse.triangles, views.masks).min()
        if least >= LEAST_IOU:
            return True
        context.warn(
            "mesh.coarse_doubtful",
            f"The coarse shape does not match the views (overlap {least:.0%}), so their outlines serve instead.",
            "If the result lacks hollows or gaps, try another seed, or a better coarse mesh.",
        )
        return False
