"""A mesh of the scene as the arrays that travel (numpy only, no bpy).

Blender's frame is z up with the front towards -Y; the wire's is y up with the front towards +z.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import frozen

from kiss3d_protocol.errors import MeshEmpty, MeshTooLarge
from kiss3d_protocol.framing import MAX_BLOB_TO_SERVER
from kiss3d_protocol.payloads import ArrayRef, BlobWriter, MeshRef

from .picture import Picture


@frozen(eq=False)
class CapturedMesh:
    """``positions`` float32 (V, 3) in Blender's frame, of any size; ``triangles`` int32 (T, 3), counter-clockwise seen
    from outside; ``corner_uvs`` float32 (C, 2) and ``uv_triangles`` int32 (T, 3) into them, or both None; ``colours``
    uint8 (V, 4) sRGB with alpha, or None; ``texture`` PNG or WebP, or None. ``name`` is for people."""

    name: str
    positions: npt.NDArray[np.float32]
    triangles: npt.NDArray[np.int32]
    corner_uvs: npt.NDArray[np.float32] | None = None
    uv_triangles: npt.NDArray[np.int32] | None = None
    colours: npt.NDArray[np.uint8] | None = None
    texture: Picture | None = None


def transformed(
    mesh_positions: npt.NDArray[np.float32], triangles: npt.NDArray[np.int32], matrix: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], bool]:
    """Positions (V, 3) under a matrix (3, 3), the triangles that still face outwards, and whether they were turned.

    A mirroring matrix turns every surface inside out, which the order of the corners has to make good.
    """
    positions = (mesh_positions.astype(np.float64) @ matrix.T).astype(np.float32)
    mirrored = bool(np.linalg.det(matrix) < 0)
    return positions, triangles[:, ::-1] if mirrored else triangles, mirrored


def vertex_colours(
    colours: npt.NDArray[np.float32], vertex_of_corner: npt.NDArray[np.int32] | None, vertices: int
) -> npt.NDArray[np.uint8]:
    """Colours (V or C, 4), sRGB from 0 to 1, as uint8 (V, 4); a vertex has the mean of its corners (C,)."""
    if vertex_of_corner is not None:
        corners = np.bincount(vertex_of_corner, minlength=vertices)
        sums = [np.bincount(vertex_of_corner, channel, vertices) for channel in colours.T]
        colours = (np.stack(sums, axis=1) / np.maximum(corners, 1)[:, None]).astype(np.float32)
    return (np.clip(colours, 0, 1) * 255 + 0.5).astype(np.uint8)


def write_mesh(mesh: CapturedMesh, writer: BlobWriter) -> MeshRef:
    """Adds the mesh to a message: Blender's (x, y, z) is (x, z, -y) there; size and place stay as they are.

    Raises :class:`MeshEmpty` when it has no face, and :class:`MeshTooLarge` when it cannot be sent.
    """
    if not len(mesh.triangles):
        raise MeshEmpty(f"'{mesh.name}' has no faces.", "Choose an object with faces that have an area.")
    turned = np.stack((mesh.positions[:, 0], mesh.positions[:, 2], -mesh.positions[:, 1]), axis=1)

    def array(values: npt.NDArray[Any] | None, dtype: str) -> ArrayRef | None:
        return None if values is None else _array(mesh.name, values, dtype, writer)

    texture = mesh.texture
    return MeshRef(
        positions=_array(mesh.name, turned, "<f4", writer),
        triangles=_array(mesh.name, mesh.triangles, "<u4", writer),
        uvs=array(mesh.corner_uvs, "<f4"),
        uv_triangles=array(mesh.uv_triangles, "<u4"),
        colours=array(mesh.colours, "|u1"),
        texture=None if texture is None else writer.image(texture.data, texture.media_type),
    )


def _array(name: str, values: npt.NDArray[Any], dtype: str, writer: BlobWriter) -> ArrayRef:
    packed = np.ascontiguousarray(values, dtype)
    if packed.nbytes > MAX_BLOB_TO_SERVER:
        raise MeshTooLarge(
            f"'{name}' has {len(values):,} vertices, faces or corners: too many to be sent.", "Decimate it first."
        )
    return writer.array(packed.tobytes(), dtype, packed.shape)
