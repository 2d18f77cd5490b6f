"""UVs for a body, a texture baked from its cut-out, and a normal map of the shape that decimation took away."""

from __future__ import annotations

import attrs
import numpy as np

from kiss3d_backend.mesh.bake.normal_map import bake_normal_map
from kiss3d_backend.mesh.bake.padding import pad_islands
from kiss3d_backend.mesh.bake.texels import Texels, find_texels
from kiss3d_backend.mesh.body_colours import BodyColours
from kiss3d_backend.mesh.frame import to_unit_box
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.unwrap.unwrap import unwrap
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Cutout, Mesh, Texture

_AT_ONCE = 1 << 18
_DETAIL_SHARE = 0.5
"""Of the texture's side: about as many of its pixels lie across the object."""


@attrs.frozen(eq=False)
class Body:
    """``full``: all the detail. ``low``: what gets the texture. Both in the cut-out's frame.

    ``size``: pixels of the square texture.
    """

    cutout: Cutout
    full: Mesh
    low: Mesh
    size: int


class TextureBody(Stage[Body, Mesh]):
    """The textured mesh in the unit box. ``normal_side``: pixels of the normal map; a body is smooth."""

    name = "texture"
    title = "Texture"
    weight = 8.0

    def __init__(self, normal_side: int = 1024) -> None:
        self.normal_side = normal_side

    def run(self, value: Body, context: StageContext) -> Mesh:
        low, full, size = value.low, value.full, value.size
        flat = unwrap(low.positions, low.triangles, texture_size=size, check=context.check_cancelled)
        mesh = attrs.evolve(low, uvs=flat.uvs, uv_triangles=flat.uv_triangles)
        context.progress(3, 8)
        texture = self._colours(value, mesh, find_texels(flat.uvs, flat.uv_triangles, size), context)
        context.preview(texture)
        context.progress(6, 8)
        normal_map = bake_normal_map(
            mesh, full.positions, full.triangles, min(self.normal_side, size), check=context.check_cancelled
        )
        return attrs.evolve(mesh, positions=to_unit_box(mesh.positions), texture=texture, normal_map=normal_map)

    def _colours(self, value: Body, mesh: Mesh, texels: Texels, context: StageContext) -> Texture:
        colours = BodyColours(value.cutout.rgba, round(_DETAIL_SHARE * value.size))
        context.progress(4, 8)
        known = np.concatenate(
            [mesh.positions, vertex_normals(mesh.positions, mesh.triangles)], axis=1, dtype=np.float32
        )
        pixels = np.zeros((value.size**2, 3), dtype=np.uint8)
        for begin in range(0, len(texels.pixel), _AT_ONCE):
            context.check_cancelled()
            part = slice(begin, begin + _AT_ONCE)
            here = texels.mix(known, mesh.triangles, part)
            pixels[texels.pixel[part]] = (colours.at(here[:, :3], here[:, 3:]) * 255.0 + 0.5).astype(np.uint8)
        covered = np.zeros(value.size**2, dtype=bool)
        covered[texels.pixel] = True
        square = (value.size, value.size)
        return Texture(pad_islands(pixels.reshape(*square, 3), covered.reshape(square)))
