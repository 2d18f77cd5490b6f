"""Meshes from outside: checked in full before a job is accepted, and read with their pictures.

A mesh of the protocol has its sizes and types checked already (:mod:`kiss3d_protocol.payloads`); here its values are.
Needs numpy and Pillow, no more, so that the broker can refuse a bad mesh at once.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import attrs
import numpy as np
from PIL import Image

from kiss3d_backend.intake.picture import inspect_picture
from kiss3d_backend.mesh.payload import encoded_picture, read_mesh
from kiss3d_backend.mesh.types import Mesh, Texture
from kiss3d_protocol.errors import MeshEmpty, MeshFileUnreadable, MessageMalformed, PictureError
from kiss3d_protocol.payloads import Blob, MeshRef

LARGEST_COORDINATE = 1e6
"""Beyond it float32 leaves less than a tenth of a unit; nothing that a person models is there."""


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
    # Judged at the mesh's own size: a tiny mesh far from nothing is as good as a large one.
    used = mesh.positions[mesh.triangles].astype(np.float64)
    size = float(np.ptp(used.reshape(-1, 3), axis=0).max())
    sides = (used[:, 1:] - used[:, :1]) / (size or 1.0)
    if not np.any(np.linalg.norm(np.cross(sides[:, 0], sides[:, 1], axis=1), axis=1) > 1e-12):
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


def _decoded(name: str, data: bytes | None) -> Texture | None:
    if data is None:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "WEBP")) as image:
            return Texture(np.asarray(image.convert("RGB")))
    except (OSError, ValueError, SyntaxError) as error:
        raise MeshFileUnreadable(f"The mesh's {name} is damaged.", "Export the mesh again.") from error
