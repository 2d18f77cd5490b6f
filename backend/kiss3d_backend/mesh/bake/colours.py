"""A colour texture baked from the views themselves, not from vertex colours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.at_once import Check, at_once
from kiss3d_backend.mesh.bake.correct import Correction
from kiss3d_backend.mesh.bake.padding import pad_islands
from kiss3d_backend.mesh.bake.texels import Texels, find_texels
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.surface.colours import SurfaceColours, colour_surface
from kiss3d_backend.mesh.surface.project import CONFIDENCE, Projector
from kiss3d_backend.mesh.surface.view import ColourView
from kiss3d_backend.mesh.types import Mesh, Texture

_AT_ONCE = 1 << 15
_ROWS_AT_ONCE = 512


@attrs.frozen(eq=False)
class BakedColours:
    """``texture``: of the asked side. ``surface``: the vertex colours that filled what no view saw."""

    texture: Texture
    surface: SurfaceColours


@attrs.frozen(eq=False)
class SeenSurface:
    """What baking needs of a mesh and its views and of no UVs, so that it can be made while these are.

    ``projector``, ``correction``: of this mesh and these views. ``surface``: the colours of its vertices.
    """

    projector: Projector
    correction: Correction
    surface: SurfaceColours

    @classmethod
    def of(cls, mesh: Mesh, views: Sequence[ColourView], *, check: Check = lambda: None) -> SeenSurface:
        """``check`` is called often; what it raises comes out of here."""

        def surface(check: Check) -> tuple[Projector, SurfaceColours]:
            projector = Projector(mesh.positions, mesh.triangles, views, check=check)
            check()
            return projector, colour_surface(mesh.positions, mesh.triangles, views, projector)

        def correction(check: Check) -> Correction:
            return Correction.of(mesh.positions, mesh.triangles, views, check=check)

        (projector, colours), samples = at_once(check, [surface, correction])
        return cls(projector, samples, colours)


def bake_colours(
    mesh: Mesh,
    views: Sequence[ColourView],
    side: int,
    *,
    texels: Texels | None = None,
    seen: SeenSurface | None = None,
    check: Check = lambda: None,
) -> BakedColours:
    """Projects the views on every pixel of a texture; what none of them saw takes the filled colours of the vertices.
    Then corrects it until pictures of it are the views.

    ``mesh``: with ``uvs`` that do not overlap. ``side``: pixels. ``texels``: of these UVs and this side, ``seen``: of
    this mesh and these views, where they are known already. ``check`` is called often; what it raises comes out of
    here. Raises ValueError without UVs.
    """
    if mesh.uvs is None:
        raise ValueError("a mesh without UVs has no texture to bake")
    uv_triangles = mesh.triangles if mesh.uv_triangles is None else mesh.uv_triangles
    if texels is None:
        texels = find_texels(mesh.uvs, uv_triangles, side, check=check)
    if seen is None:
        seen = SeenSurface.of(mesh, views, check=check)
    known = np.concatenate(
        [mesh.positions, vertex_normals(mesh.positions, mesh.triangles), seen.surface.colours], axis=1, dtype=np.float32
    )
    pixels = np.zeros((side * side, 3), dtype=np.float32)
    at_once(
        check,
        [
            partial(_project, seen.projector, known, mesh.triangles, texels, slice(begin, begin + _AT_ONCE), pixels)
            for begin in range(0, len(texels.pixel), _AT_ONCE)
        ],
    )
    square = pixels.reshape(side, side, 3)
    seen.correction.apply(square, mesh.uvs, uv_triangles, texels, check=check)
    rounded = np.empty(square.shape, dtype=np.uint8)
    for row in range(0, side, _ROWS_AT_ONCE):
        check()
        rounded[row : row + _ROWS_AT_ONCE] = square[row : row + _ROWS_AT_ONCE] * 255.0 + 0.5
    padded = pad_islands(rounded, texels.covered(), check=check)
    return BakedColours(Texture(padded), seen.surface)


def _project(
    projector: Projector,
    known: NDArray[np.float32],
    triangles: NDArray[np.int32],
    texels: Texels,
    part: slice,
    pixels: NDArray[np.float32],
    _: Check,
) -> None:
    """Sets a run of the texels. ``known``: (V, 9), position, normal and filled colour of each vertex."""
    here = texels.mix(known, triangles, part)
    projected = projector.at(here[:, :3], here[:, 3:6])
    certainty = np.minimum(projected.confidence / CONFIDENCE, 1.0)[:, None]
    pixels[texels.pixel[part]] = here[:, 6:] + (projected.colours - here[:, 6:]) * certainty
