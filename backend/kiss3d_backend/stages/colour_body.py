"""The cut-out's colours on the vertices of a body: quick, for the first mesh that is shown."""

from __future__ import annotations

import attrs
import numpy as np

from kiss3d_backend.mesh.body_colours import BodyColours
from kiss3d_backend.mesh.frame import to_unit_box
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Cutout, Mesh

_DETAIL = 256


class ColourBody(Stage[tuple[Cutout, Mesh], Mesh]):
    """Gives a body in the frame of its cut-out vertex colours, and puts it in the unit box."""

    name = "coarse_colours"
    title = "Coarse colours"
    weight = 0.5

    def run(self, value: tuple[Cutout, Mesh], context: StageContext) -> Mesh:
        cutout, mesh = value
        colours = BodyColours(cutout.rgba, _DETAIL).at(
            mesh.positions, vertex_normals(mesh.positions, mesh.triangles).astype(np.float32)
        )
        opaque = np.full((len(colours), 1), 255, dtype=np.uint8)
        rgba = np.concatenate([(colours * 255.0 + 0.5).astype(np.uint8), opaque], axis=1)
        return attrs.evolve(mesh, positions=to_unit_box(mesh.positions), colours=rgba)
