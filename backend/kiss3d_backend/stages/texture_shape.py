"""UVs for the shape, a texture baked from the views, and a normal map of the detail that decimation took away."""

from __future__ import annotations

import attrs

from kiss3d_backend.mesh.at_once import Check, at_once
from kiss3d_backend.mesh.bake.colours import BakedColours, SeenSurface, bake_colours
from kiss3d_backend.mesh.bake.normal_map import bake_normal_map
from kiss3d_backend.mesh.bake.texels import Texels, find_texels
from kiss3d_backend.mesh.surface.view import bundle_views
from kiss3d_backend.mesh.types import Mesh, Texture
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
        low, full, size = value.low, value.full, value.size
        views = bundle_views(value.views.colours, value.views.masks, value.views.mattes)

        def unwrapped(check: Check) -> tuple[Mesh, Texels]:
            flat = unwrap(low.positions, low.triangles, texture_size=size, check=check)
            texels = find_texels(flat.uvs, flat.uv_triangles, size, check=check)
            return attrs.evolve(low, uvs=flat.uvs, uv_triangles=flat.uv_triangles), texels

        def seen_surface(check: Check) -> SeenSurface:
            return SeenSurface.of(low, views, check=check)

        (mesh, texels), seen = at_once(context.check_cancelled, [unwrapped, seen_surface])
        context.progress(1, 3)

        def colours(check: Check) -> BakedColours:
            return bake_colours(mesh, views, size, texels=texels, seen=seen, check=check)

        def normals(check: Check) -> Texture | None:
            if len(full.triangles) <= len(low.triangles):
                return None
            return bake_normal_map(mesh, full.positions, full.triangles, size, texels=texels, check=check)

        baked, normal_map = at_once(context.check_cancelled, [colours, normals])
        if baked.surface.unseen_parts:
            context.warn(
                "mesh.unseen_parts",
                "Some parts of the mesh are seen by none of the views; they have a colour of the rest.",
                "Paint them by hand, or leave them where nobody looks.",
            )
        return attrs.evolve(mesh, texture=baked.texture, normal_map=normal_map)
