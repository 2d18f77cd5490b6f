"""The normals of a fine mesh in a texture of a coarser one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bake.nearest import NearestPoints
from kiss3d_backend.mesh.bake.padding import pad_islands
from kiss3d_backend.mesh.bake.texels import Texels, find_texels
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.tangents import tangent_frames
from kiss3d_backend.mesh.types import Mesh, Texture

_REACH = 0.05
"""How far the fine mesh may be away, in diagonals of the coarse one."""

_AT_ONCE = 1 << 17


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
    for begin in range(0, len(texels.pixel), _AT_ONCE):
        check()
        part = slice(begin, begin + _AT_ONCE)
        here = texels.mix(values, corners, part)
        nearest = search.to(here[:, :3], here[:, 3:6], reach)
        hit = np.flatnonzero(nearest.triangle >= 0)
        fine = fine_triangles[nearest.triangle[hit]]
        wanted = np.einsum("ij,ijk->ik", nearest.barycentric[hit], fine_normals[fine])
        local = _in_frame(wanted, here[hit, 3:6], here[hit, 6:9], np.sign(here[hit, 9]))
        pixels[texels.pixel[part][hit]] = (local * 127.5 + 128.0).astype(np.uint8)
    covered = np.zeros(side * side, dtype=bool)
    covered[texels.pixel] = True
    check()
    return Texture(pad_islands(pixels.reshape(side, side, 3), covered.reshape(side, side), check=check))


def _in_frame(
    vectors: NDArray[np.float32], normal: NDArray[np.float32], tangent: NDArray[np.float32], sign: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(P, 3) unit vectors of (x, y, z) with x tangent + y bitangent + z normal along ``vectors``; z is not negative."""
    bitangent = np.cross(normal, tangent) * sign[:, None]
    columns = (np.cross(bitangent, normal), np.cross(normal, tangent), np.cross(tangent, bitangent))
    volume = np.einsum("ij,ij->i", tangent, columns[0])
    local = np.stack([np.einsum("ij,ij->i", vectors, column) for column in columns], axis=1)
    local *= np.where(volume < 0, -1.0, 1.0)[:, None]
    local[:, 2] = np.maximum(local[:, 2], 0.0)
    length = np.sqrt(np.einsum("ij,ij->i", local, local))
    # A fine mesh that is folded there tells nothing: its normals look inwards, or cancel.
    lost = length < 1e-12
    local[lost], length[lost] = (0.0, 0.0, 1.0), 1.0
    return (local / length[:, None]).astype(np.float32)
