"""Where refinement starts: the mesh that was given, made sound, or the visual hull of the four masks."""

from __future__ import annotations

import attrs

from kiss3d_backend.mesh.cleanup.clean import clean
from kiss3d_backend.mesh.hull import visual_hull
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import BundleViews


@attrs.frozen(eq=False)
class Start:
    """``coarse``: a mesh in the bundle's world, or None."""

    views: BundleViews
    coarse: Mesh | None


class StartShape(Stage[Start, Mesh]):
    """A closed manifold mesh in the bundle's world.

    Raises :class:`ViewEmpty`, :class:`ViewsDisagree` and :class:`MeshEmpty`.
    """

    name = "start"
    title = "Starting shape"
    weight = 2.0

    def run(self, value: Start, context: StageContext) -> Mesh:
        if value.coarse is None:
            return visual_hull(value.views.mattes, check=context.check_cancelled)
        cleaned = clean(value.coarse.positions, value.coarse.triangles)
        context.progress(1, 2)
        return Mesh(cleaned.positions, cleaned.triangles)
