"""Meshes to the protocol's typed arrays and back (SPEC.md, section 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.png import encode_png
from kiss3d_backend.mesh.types import Mesh, Texture
from kiss3d_protocol.errors import MessageMalformed
from kiss3d_protocol.payloads import ArrayRef, Blob, BlobWriter, ImageRef, MeshRef


def describe_mesh(mesh: Mesh, writer: BlobWriter) -> MeshRef:
    """Adds the arrays of a mesh, and its texture and its normal map as PNGs, to a message."""

    def optional(values: NDArray[Any] | None, dtype: str) -> ArrayRef | None:
        return None if values is None else _array(values, dtype, writer)

    return MeshRef(
        positions=_array(mesh.positions, "<f4", writer),
        triangles=_array(mesh.triangles, "<u4", writer),
        uvs=optional(mesh.uvs, "<f4"),
        uv_triangles=optional(mesh.uv_triangles, "<u4"),
        colours=optional(mesh.colours, "|u1"),
        texture=_picture(mesh.texture, writer),
        normal_map=_picture(mesh.normal_map, writer),
    )


def read_mesh(ref: MeshRef, blobs: Sequence[Blob] | Mapping[int, Blob]) -> Mesh:
    """The mesh of a message, without its texture and its normal map (see :func:`encoded_picture`).

    Raises :class:`MessageMalformed` for positions that are not finite and for indices out of range.
    """

    def optional(part: ArrayRef | None) -> NDArray[Any] | None:
        return None if part is None else _read(part, blobs)

    positions, triangles = _read(ref.positions, blobs), _read(ref.triangles, blobs)
    uvs, uv_triangles = optional(ref.uvs), optional(ref.uv_triangles)
    _check_range(triangles, len(positions))
    if uvs is not None and uv_triangles is not None:
        _check_range(uv_triangles, len(uvs))
    if not (np.isfinite(positions).all() and (uvs is None or np.isfinite(uvs).all())):
        raise MessageMalformed("A mesh has positions or UVs that are not finite.")
    return Mesh(
        positions=positions,
        triangles=triangles.astype(np.int32),
        uvs=uvs,
        uv_triangles=None if uv_triangles is None else uv_triangles.astype(np.int32),
        colours=optional(ref.colours),
    )


def encoded_picture(ref: ImageRef | None, blobs: Sequence[Blob] | Mapping[int, Blob]) -> bytes | None:
    """The file of a mesh's texture or normal map as it came, or None when the mesh has none."""
    return None if ref is None else bytes(blobs[ref.blob])


def _picture(texture: Texture | None, writer: BlobWriter) -> ImageRef | None:
    if texture is None:
        return None
    height, width = texture.pixels.shape[:2]
    return writer.image(encode_png(texture.pixels), "image/png", width, height)


def _array(values: NDArray[Any], dtype: str, writer: BlobWriter) -> ArrayRef:
    packed = np.ascontiguousarray(values, dtype=dtype)
    return writer.array(packed.tobytes(), dtype, packed.shape)


def _read(ref: ArrayRef, blobs: Sequence[Blob] | Mapping[int, Blob]) -> NDArray[Any]:
    return np.frombuffer(blobs[ref.blob], dtype=ref.dtype).reshape(ref.shape)


def _check_range(indices: NDArray[Any], count: int) -> None:
    if indices.size and int(indices.max()) >= count:
        raise MessageMalformed(f"A mesh has an index {int(indices.max())} but only {count} entries.")
