"""A colour texture baked from the views themselves, not from vertex colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
import numpy as np

from kiss3d_backend.mesh.bake.correct import correct
from kiss3d_backend.mesh.bake.padding import pad_islands
from kiss3d_backend.mesh.bake.texels import Texels, find_texels
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.surface.colours import SurfaceColours, colour_surface
from kiss3d_backend.mesh.surface.project import CONFIDENCE, Projector
from kiss3d_backend.mesh.surface.view import ColourView
from kiss3d_backend.mesh.types import Mesh, Texture

_AT_ONCE = 1 << 17
_ROWS_AT_ONCE = 512


@attrs.frozen(eq=False)
class BakedColours:
    """``texture``: of the asked side. ``surface``: the vertex colours that filled what no view saw."""

    texture: Texture
    surface: SurfaceColours


def bake_colours(
    mesh: Mesh,
    views: Sequence[ColourView],
    side: int,
    *,
    texels: Texels | None = None,
    check: Callable[[], None] = lambda: None,
) -> BakedColours:
    """Projects the views on every pixel of a texture; what none of them saw takes the filled colours of the vertices.
    Then corrects it until pictures of it are the views.

    ``mesh``: with ``uvs`` that do not overlap. ``side``: pixels. ``texels``: of these UVs and this side, where they are
    known already. ``check`` is called often; what it raises comes out of here. Raises ValueError without UVs.
    """
    if mesh.uvs is None:
        raise ValueError("a mesh without UVs has no texture to bake")
    if texels is None:
        uv_triangles = mesh.triangles if mesh.uv_triangles is None else mesh.uv_triangles
        texels = find_texels(mesh.uvs, uv_triangles, side, check=check)
    check()
    projector = Projector(mesh.positions, mesh.triangles, views, check=check)
    check()
    surface = colour_surface(mesh.positions, mesh.triangles, views, projector)
    check()
    known = np.concatenate(
        [mesh.positions, vertex_normals(mesh.positions, mesh.triangles), surface.colours], axis=1, dtype=np.float32
    )
    pixels = np.zeros((side * side, 3), dtype=np.float32)
    for begin in range(0, len(texels.pixel), _AT_ONCE):
        check()
        part = slice(begin, begin + _AT_ONCE)
        here = texels.mix(known, mesh.triangles, part)
        seen = projector.at(here[:, :3], here[:, 3:6])
        certainty = np.minimum(seen.confidence / CONFIDENCE, 1.0)[:, None]
        pixels[texels.pixel[part]] = here[:, 6:] + (seen.colours - here[:, 6:]) * certainty
    square = pixels.reshape(side, side, 3)
    correct(square, mesh, views, texels, check=check)
    covered = np.zeros(side * side, dtype=bool)
    covered[texels.pixel] = True
    check()
    rounded = np.empty(square.shape, dtype=np.uint8)
    for row in range(0, side, _ROWS_AT_ONCE):
        check()
        rounded[row : row + _ROWS_AT_ONCE] = square[row : row + _ROWS_AT_ONCE] * 255.0 + 0.5
    padded = pad_islands(rounded, covered.reshape(side, side), check=check)
    return BakedColours(Texture(padded), surface)
