"""The refined shape made sound, and brought down to the number of faces that was asked for."""

from __future__ import annotations

import attrs

from kiss3d_backend.mesh.cleanup.clean import clean
from kiss3d_backend.mesh.fit.fit import fit_to_views
from kiss3d_backend.mesh.simplify import simplify
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import BundleViews


@attrs.frozen(eq=False)
class Finished:
    """``full``: all the detail, for the normal map. ``low``: what the artist gets."""

    full: Mesh
    low: Mesh


@attrs.frozen(eq=False)
class ToFinish:
    """``faces``: about how many triangles the artist wants, at least 100. ``views``: those that the mesh was refined
    to, if it was: the decimated mesh is fitted to them again.
    """

    mesh: Mesh
    faces: int
    views: BundleViews | None = None


class FinishShape(Stage[ToFinish, Finished]):
    """Warns with ``mesh.face_count`` when the number cannot be met. Raises :class:`MeshEmpty`."""

    name = "finish"
    title = "Cleaning the shape"
    weight = 2.0

    def run(self, value: ToFinish, context: StageContext) -> Finished:
        cleaned = clean(value.mesh.positions, value.mesh.triangles, check=context.check_cancelled)
        full = Mesh(cleaned.positions, cleaned.triangles)
        context.progress(1, 2)
        low = simplify(full.positions, full.triangles, value.faces, check=context.check_cancelled)
        if len(full.triangles) > value.faces and not low.on_target:
            context.warn(
                "mesh.face_count",
                f"{value.faces:,} faces were asked for, but the mesh has {len(low.triangles):,}.",
                "A mesh of many parts or holes cannot always be brought down as far.",
            )
        result = Mesh(low.positions, low.triangles)
        views = value.views
        if views is not None:
            result = fit_to_views(result, views.normals, views.mattes, check=context.check_cancelled)
        return Finished(full, result)
