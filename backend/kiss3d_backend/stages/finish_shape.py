"""The refined shape made sound, and brought down to the number of faces that was asked for."""

from __future__ import annotations

import attrs

from kiss3d_backend.mesh.cleanup.clean import clean
from kiss3d_backend.mesh.simplify import simplify
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.stage import Stage, StageContext


@attrs.frozen(eq=False)
class Finished:
    """``full``: all the detail, for the normal map. ``low``: what the artist gets."""

    full: Mesh
    low: Mesh


class FinishShape(Stage[Mesh, Finished]):
    """Warns with ``mesh.face_count`` when the number cannot be met. Raises :class:`MeshEmpty`."""

    name = "finish"
    title = "Cleaning the shape"
    weight = 2.0

    def __init__(self, faces: int) -> None:
        self.faces = faces

    def run(self, value: Mesh, context: StageContext) -> Finished:
        cleaned = clean(value.positions, value.triangles)
        full = Mesh(cleaned.positions, cleaned.triangles)
        context.progress(1, 2)
        low = simplify(full.positions, full.triangles, self.faces)
        if len(full.triangles) > self.faces and not low.on_target:
            context.warn(
                "mesh.face_count",
                f"{self.faces:,} faces were asked for, but the mesh has {len(low.triangles):,}.",
                "A mesh of many parts or holes cannot always be brought down as far.",
            )
        return Finished(full, Mesh(low.positions, low.triangles))
