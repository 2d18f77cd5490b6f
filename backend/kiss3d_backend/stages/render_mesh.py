"""A mesh that the user brought, as the bundle that FLUX starts from."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bundle.layout import BundleViews, join_bundle
from kiss3d_backend.mesh.bundle.render import fitted_scale, render_bundle
from kiss3d_backend.mesh.camera import bundle_cameras
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_protocol.errors import MeshEmpty


class RenderMesh(Stage[Mesh, NDArray[np.uint8]]):
    """A bundle picture (1024, 2048, 3) uint8; shows it. The mesh is centred and fitted to the tiles.

    Raises :class:`MeshEmpty`.
    """

    name = "render"
    title = "Rendering the mesh"
    weight = 1.0

    def run(self, value: Mesh, context: StageContext) -> NDArray[np.uint8]:
        if not len(value.triangles):
            raise MeshEmpty("The mesh has no faces.")
        used = value.positions[np.unique(value.triangles)]
        centred = value.positions - (used.min(axis=0) + used.max(axis=0)) / 2
        scale = fitted_scale(centred[np.unique(value.triangles)])
        mesh = attrs.evolve(value, positions=(centred * scale).astype(np.float32))
        cameras = bundle_cameras()
        views = []
        for done, camera in enumerate(cameras):
            context.progress(done, len(cameras))
            views.append(render_bundle([mesh], [camera]))
        colours, normals = (np.concatenate([getattr(view, row) for view in views]) for row in ("colours", "normals"))
        picture = join_bundle(BundleViews(colours, normals))
        context.preview(picture)
        return picture
