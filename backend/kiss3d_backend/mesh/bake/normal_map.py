"""The normals of a fine mesh in a texture of a coarser one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.at_once import Check, at_once
from kiss3d_backend.mesh.bake.nearest import NearestPoints
from kiss3d_backend.mesh.bake.padding import pad_islands
from kiss3d_backend.mesh.bake.texels import Texels, find_texels
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.tangents import tangent_frames
from kiss3d_backend.mesh.types import Mesh, Texture

_REACH = 0.05
"""How far the fine mesh may be away, in diagonals of the coarse one."""

_AT_ONCE = 1 << 15


def bake_normal_map(
    mesh: Mesh,
    fine_positions: NDArray[np.float32],
    fine_triangles: NDArray[np.int32],
    side: int,
    *,
    texels: Texels | None = None,
    check: Callable[[], None] = lambda: None,
) -> Texture:
    """A tangent-space normal map: at each pixel the smooth normal of the nearest point of the fine mesh that faces the
    same way, in the coarse mesh's frame (:func:`tangent_frames`, interpolated as MikkTSpace asks: not normalised).

    ``mesh``: with UVs that do not overlap. ``fine_positions``: (V, 3); ``fine_triangles``: (T, 3). ``side``: pixels.
    ``texels``: of these UVs and this side, where they are known already. ``check`` is called often; what it raises
    comes out of here. Returns pixels in linear light, (n + 1) / 2: x where u grows, y where v grows (v upwards, the
    convention of OpenGL, Blender and glTF), z outwards; (128, 128, 255) where the fine mesh is out of reach.
    Raises ValueError without UVs.
    """
    # Numba takes half a second to import.
    from kiss3d_backend.mesh.bake.kernels import normal_texels

    if mesh.uvs is None:
        raise ValueError("a mesh without UVs has no texture to bake")
    frames = tangent_frames(mesh)
    corners = frames.split.triangles
    if texels is None:
        texels = find_texels(mesh.uvs, mesh.triangles if mesh.uv_triangles is None else mesh.uv_triangles, side)
    values = np.concatenate(
        [mesh.positions[frames.split.vertices], frames.normals, frames.tangents], axis=1, dtype=np.float32
    )
    fine_normals = vertex_normals(fine_positions, fine_triangles)
    search = NearestPoints(fine_positions, fine_triangles)
    reach = _REACH * float(np.linalg.norm(np.ptp(mesh.positions, axis=0)))
    pixels = np.empty((side * side, 3), dtype=np.uint8)
    pixels[:] = (128, 128, 255)

    def bake(begin: int) -> Callable[[Check], None]:
        part = texels.run(begin, begin + _AT_ONCE)
        return lambda _: normal_texels(
            part, corners, values, reach, search.mesh, search.grid, fine_triangles, fine_normals, pixels
        )

    check()
    at_once(check, [bake(begin) for begin in range(0, len(texels.pixel), _AT_ONCE)])
    return Texture(pad_islands(pixels.reshape(side, side, 3), texels.covered(), check=check))
