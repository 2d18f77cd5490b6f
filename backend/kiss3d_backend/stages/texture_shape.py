"""UVs for the shape, and a texture baked from the views."""

from __future__ import annotations

import attrs

from kiss3d_backend.mesh.bake.colours import bake_colours
from kiss3d_backend.mesh.surface.view import bundle_views
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.unwrap.unwrap import unwrap
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import BundleViews


@attrs.frozen(eq=False)
class ToTexture:
    """``full``: all the detail. ``low``: the mesh that gets the texture. Both in the bundle's world."""

    views: BundleViews
    full: Mesh
    low: Mesh


class TextureShape(Stage[ToTexture, Mesh]):
    """``size``: pixels of the square texture, 1024 to 4096."""

    name = "texture"
    title = "Texture"
    weight = 8.0

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, value: ToTexture, context: StageContext) -> Mesh:
        low = value.low
        flat = unwrap(low.positions, low.triangles, texture_size=self.size, check=context.check_cancelled)
        context.progress(1, 2)
        mesh = attrs.evolve(low, uvs=flat.uvs, uv_triangles=flat.uv_triangles)
        views = bundle_views(value.views.colours, value.views.masks)
        baked = bake_colours(mesh, views, self.size, check=context.check_cancelled)
        return attrs.evolve(mesh, texture=baked.texture)
