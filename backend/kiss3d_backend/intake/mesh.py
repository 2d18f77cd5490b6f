"""Meshes from outside: checked in full before a job is accepted, and read with their pictures.

A mesh of the protocol has its sizes and types checked already (:mod:`kiss3d_protocol.payloads`); here its values are.
Checking needs numpy, no more, so that the broker can refuse a bad mesh at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs
import numpy as np

from kiss3d_backend.intake.picture import inspect_picture
from kiss3d_backend.mesh.payload import encoded_picture, read_mesh
from kiss3d_backend.mesh.types import Mesh, Texture
from kiss3d_protocol.errors import MeshEmpty, MeshFileUnreadable, MessageMalformed, PictureError
from kiss3d_protocol.payloads import Blob, MeshRef

LARGEST_COORDINATE = 1e6
"""Beyond it float32 leaves less than a tenth of a unit; nothing that a person models is there."""

_BLOCK = 65_536


def check_mesh(ref: MeshRef, blobs: Sequence[Blob] | Mapping[int, Blob]) -> Mesh:
    """The mesh of a message without its texture and its normal map, of which the headers are checked.

    Raises :class:`MeshEmpty` when it has no face with an area, and :class:`MeshFileUnreadable` for indices out of
    range, for positions or UVs that are not finite or absurdly large, and for a texture or normal map that
    is no picture.
    """
    try:
        mesh = read_mesh(ref, blobs)
    except MessageMalformed as error:
        raise MeshFileUnreadable(error.message, "Clean the mesh up, or export it again.") from error
    if not len(mesh.triangles):
        raise MeshEmpty("The mesh has no faces.")
    if float(np.abs(mesh.positions).max()) > LARGEST_COORDINATE:
        raise MeshFileUnreadable(
            f"The mesh has coordinates beyond {LARGEST_COORDINATE:,.0f}.", "Scale it down and move it to the origin."
        )
    if not _has_area(mesh):
        raise MeshEmpty("No face of the mesh has an area.")
    for name, picture in (("texture", ref.texture), ("normal map", ref.normal_map)):
        data = encoded_picture(picture, blobs)
        if data is None:
            continue
        try:
            inspect_picture(data)
        except PictureError as error:
            raise MeshFileUnreadable(f"The mesh's {name} cannot be used: {error.message}", error.remedy) from error
    return mesh


def read_mesh_input(ref: MeshRef, blobs: Sequence[Blob] | Mapping[int, Blob]) -> Mesh:
    """The mesh of a message with its texture and its normal map. Raises what :func:`check_mesh` raises."""
    return attrs.evolve(
        check_mesh(ref, blobs),
        texture=_decoded("texture", encoded_picture(ref.texture, blobs)),
        normal_map=_decoded("normal map", encoded_picture(ref.normal_map, blobs)),
    )


def _has_area(mesh: Mesh) -> bool:
    """Judged at the mesh's own size: a tiny mesh far from nothing is as good as a large one.

    Block by block, and no further than needed: the broker waits meanwhile.
    """
    used = np.zeros(len(mesh.positions), dtype=bool)
    used[mesh.triangles.ravel()] = True
    size = float(np.ptp(mesh.positions[used].astype(np.float64), axis=0).max()) or 1.0
    for start in range(0, len(mesh.triangles), _BLOCK):
        corners = mesh.positions[mesh.triangles[start : start + _BLOCK]].astype(np.float64)
        sides = (corners[:, 1:] - corners[:, :1]) / size
        if np.any(np.linalg.norm(np.cross(sides[:, 0], sides[:, 1], axis=1), axis=1) > 1e-12):
            return True
    return False


def _decoded(name: str, data: bytes | None) -> Texture | None:
    if data is None:
        return None
    from kiss3d_backend.intake.decode import read_pixels

    try:
        return Texture(read_pixels(data))
    except PictureError as error:
        raise MeshFileUnreadable(f"The mesh's {name} is damaged.", "Export the mesh again.") from error
