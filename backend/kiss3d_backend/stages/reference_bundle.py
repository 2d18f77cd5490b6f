"""The bundle that FLUX starts from: imagined views over the normals of the coarse mesh."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bundle.layout import BundleViews, join_bundle
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.camera import REFERENCE_RADIUS, bundle_cameras
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Views


@attrs.frozen(eq=False)
class ToReference:
    """``coarse``: the LRM's mesh of these views, in the bundle's world and of the size that the model gave it."""

    views: Views
    coarse: Mesh


class ReferenceBundle(Stage[ToReference, NDArray[np.uint8]]):
    """A bundle picture (1024, 2048, 3) uint8; shows it.

    The normals are those of the vertices, as the published system renders them here, from ``radius``. Raises
    :class:`MeshEmpty`.
    """

    name = "reference"
    title = "Reference picture"
    weight = 1.0

    def __init__(self, radius: float = REFERENCE_RADIUS) -> None:
        self.radius = radius

    def run(self, value: ToReference, context: StageContext) -> NDArray[np.uint8]:
        cameras = bundle_cameras(self.radius)
        normals = []
        for done, camera in enumerate(cameras):
            context.progress(done, len(cameras))
            normals.append(render_bundle([value.coarse], [camera], smooth=True).normals[0])
        picture = join_bundle(BundleViews(value.views.colours, np.stack(normals)))
        context.preview(picture)
        return picture
