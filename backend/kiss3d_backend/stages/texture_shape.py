"""UVs for the shape, a texture baked from the views, and a normal map of the detail that decimation took away."""

from __future__ import annotations

import attrs

from kiss3d_backend.mesh.bake.colours import bake_colours
from kiss3d_backend.mesh.bake.normal_map import bake_normal_map
from kiss3d_backend.mesh.bake.texels import find_texels
from kiss3d_backend.mesh.surface.view import bundle_views
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.unwrap.unwrap import unwrap
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import BundleViews


@attrs.frozen(eq=False)
class ToTexture:
    """``full``: all the detail. ``low``: the mesh that gets the texture. Both in the bundle's world.

    ``size``: pixels of the square texture, 1024 to 4096.
    """

    views: BundleViews
    full: Mesh
    low: Mesh
    size: int


class TextureShape(Stage[ToTexture, Mesh]):
    """Warns with ``mesh.unseen_parts``."""

    name = "texture"
    title = "Texture"
    weight = 8.0

    def run(self, value: ToTexture, context: StageContext) -> Mesh:
        low, size = value.low, value.size
        flat = unwrap(low.positions, low.triangles, texture_size=size, check=context.check_cancelled)
        context.progress(1, 4)
        mesh = attrs.evolve(low, uvs=flat.uvs, uv_triangles=flat.uv_triangles)
        texels = find_texels(flat.uvs, flat.uv_triangles, size, check=context.check_cancelled)
        views = bundle_views(value.views.colours, value.views.masks, value.views.mattes)
        baked = bake_colours(mesh, views, size, texels=texels, check=context.check_cancelled)
        if baked.surface.unseen_parts:
            context.warn(
                "mesh.unseen_parts",
                "Some parts of the mesh are seen by none of the views; they have a colour of the rest.",
                "Paint them by hand, or leave them where nobody looks.",
            )
        context.progress(3, 4)
        full = value.full
        normal_map = None
        if len(full.triangles) > len(low.triangles):
            normal_map = bake_normal_map(
                mesh, full.positions, full.triangles, size, texels=texels, check=context.check_cancelled
            )
        return attrs.evolve(mesh, texture=baked.texture, normal_map=normal_map)
