"""Views that the user brought, over the normals of the coarse mesh that the LRM made of them."""

from __future__ import annotations

import attrs
import numpy as np

from kiss3d_backend.mesh.bundle.check import colour_mask
from kiss3d_backend.mesh.bundle.layout import BundleViews, join_bundle
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.view_fit import best_scale
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Bundle, Views


@attrs.frozen(eq=False)
class ToBundle:
    """``coarse``: the LRM's mesh of these views, about the origin of the bundle's world, of any size."""

    views: Views
    coarse: Mesh


class BundleFromViews(Stage[ToBundle, Bundle]):
    """A bundle of the views as they are; the mesh is scaled to fill their silhouettes. Shows it."""

    name = "bundle_views"
    title = "Bundle of the views"
    weight = 1.0

    def run(self, value: ToBundle, context: StageContext) -> Bundle:
        colours, coarse = value.views.colours, value.coarse
        masks = np.stack([colour_mask(tile) for tile in colours])
        scale = best_scale(coarse.positions, coarse.triangles, masks)
        context.progress(1, 2)
        fitted = attrs.evolve(coarse, positions=coarse.positions * np.float32(scale))
        normals = render_bundle([fitted], smooth=True).normals
        # What the mesh adds beyond the views must not count as the object.
        normals = np.where(masks[..., None], normals, np.uint8(255))
        picture = join_bundle(BundleViews(colours, normals))
        context.preview(picture)
        return Bundle(picture, context.seed)
