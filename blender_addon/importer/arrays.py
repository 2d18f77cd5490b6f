"""A mesh from the wire as checked numpy arrays in Blender's frame (numpy only, no bpy).

The wire's frame is y up with the front towards +z; Blender's is z up with the front towards -Y.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from kiss3d_protocol.errors import MessageMalformed
from kiss3d_protocol.payloads import ArrayRef, Blob, MeshRef


@frozen
class Edges:
    """``vertices`` int32 (E, 2); ``of_corners`` int32 (3T,): the edge from each face corner to the next one."""

    vertices: npt.NDArray[np.int32]
    of_corners: npt.NDArray[np.int32]


@frozen
class MeshArrays:
    """``positions`` float32 (V, 3) in Blender's frame, standing on the origin; ``corners`` int32 (3T,) vertex of each
    face corner; ``corner_uvs`` float32 (3T, 2) or None; ``colours`` uint8 (V, 4) sRGB with alpha, or None; ``texture``
    and ``normal_map`` encoded pictures or None. ``edges``: None leaves them to Blender."""

    positions: npt.NDArray[np.float32]
    corners: npt.NDArray[np.int32]
    corner_uvs: npt.NDArray[np.float32] | None = None
    colours: npt.NDArray[np.uint8] | None = None
    texture: bytes | None = None
    normal_map: bytes | None = None
    edges: Edges | None = None

    @property
    def triangle_count(self) -> int:
        return len(self.corners) // 3


def read_mesh(mesh: MeshRef, blobs: Sequence[Blob], size: float, *, with_edges: bool = False) -> MeshArrays:
    """The mesh with its longest side scaled from 1 to ``size`` scene units, its origin in the middle of its base.

    ``with_edges``: they are found here, on the thread that calls. Blender is faster at it, but holds its main thread.

    Triangles that use a vertex twice are left out: Blender's meshes must not have such. Raises
    :class:`MessageMalformed` for indices out of range, positions or UVs that are not finite, or no triangle at all.
    """
    positions = _array(mesh.positions, blobs)
    triangles = _array(mesh.triangles, blobs)
    if not len(triangles) or not np.isfinite(positions).all():
        raise MessageMalformed("The mesh that came is empty, or has a position that is not a number.")
    _check_range("a vertex", triangles, len(positions))
    first, second, third = triangles.T
    degenerate = (first == second) | (second == third) | (third == first)
    keep = ~degenerate if degenerate.any() else slice(None)
    triangles = triangles[keep]
    if not len(triangles):
        raise MessageMalformed("The mesh that came has no triangle with an area.")
    corners = triangles.reshape(-1).astype(np.int32)
    return MeshArrays(
        _standing(positions, size),
        corners,
        _corner_uvs(mesh, blobs, triangles, keep),
        None if mesh.colours is None else _array(mesh.colours, blobs),
        None if mesh.texture is None else bytes(blobs[mesh.texture.blob]),
        None if mesh.normal_map is None else bytes(blobs[mesh.normal_map.blob]),
        edges_of(corners) if with_edges else None,
    )


def edges_of(corners: npt.NDArray[np.int32]) -> Edges:
    """The edges of triangles, each once; ``corners`` int32 (3T,), the vertex of each face corner."""
    following = np.roll(corners.reshape(-1, 3), -1, axis=1).reshape(-1)
    pairs = np.minimum(corners, following).astype(np.int64) << 32 | np.maximum(corners, following)
    unique, of_corners = np.unique(pairs, return_inverse=True)
    vertices = np.stack((unique >> 32, unique & 0xFFFFFFFF), axis=1)
    return Edges(vertices.astype(np.int32), of_corners.astype(np.int32))


def _standing(positions: npt.NDArray[np.float32], size: float) -> npt.NDArray[np.float32]:
    turned = np.empty((len(positions), 3), np.float32)
    turned[:, 0] = positions[:, 0]
    np.negative(positions[:, 2], out=turned[:, 1])
    turned[:, 2] = positions[:, 1]
    low, high = turned.min(axis=0), turned.max(axis=0)
    middle = (low + high) / 2
    turned -= np.array([middle[0], middle[1], low[2]], np.float32)
    turned *= np.float32(size)
    return turned


def _corner_uvs(
    mesh: MeshRef, blobs: Sequence[Blob], triangles: npt.NDArray[np.uint32], keep: npt.NDArray[np.bool_] | slice
) -> npt.NDArray[np.float32] | None:
    if mesh.uvs is None:
        return None
    uvs = _array(mesh.uvs, blobs)
    if not np.isfinite(uvs).all():
        raise MessageMalformed("The mesh that came has a UV coordinate that is not a number.")
    if mesh.uv_triangles is not None:
        uv_triangles = _array(mesh.uv_triangles, blobs)
        _check_range("a UV", uv_triangles, len(uvs))
        triangles = uv_triangles[keep]
    return np.take(uvs, triangles.reshape(-1), axis=0)


def _check_range(what: str, indices: npt.NDArray[np.uint32], count: int) -> None:
    if int(indices.max()) >= count:
        raise MessageMalformed(f"The mesh that came names {what} that it does not have.")


def _array(ref: ArrayRef, blobs: Sequence[Blob]) -> npt.NDArray:
    return np.frombuffer(blobs[ref.blob], np.dtype(ref.dtype)).reshape(ref.shape)
