"""Meshes from outside: checked in full before a job is accepted, and read with their texture.

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
from kiss3d_backend.mesh.payload import read_mesh
from kiss3d_backend.mesh.types import Mesh, Texture
from kiss3d_protocol.errors import MeshEmpty, MeshFileUnreadable, MessageMalformed, PictureError
from kiss3d_protocol.payloads import Blob, MeshRef

LARGEST_COORDINATE = 1e6
"""Beyond it float32 leaves less than a tenth of a unit; nothing that a person models is there."""


def check_mesh(ref: MeshRef, blobs: Sequence[Blob] | Mapping[int, Blob]) -> Mesh:
    """The mesh of a message without its texture, of which the header is checked.

    Raises :class:`MeshEmpty` when it has no face with an area, and :class:`MeshFileUnreadable` for indices out of
    range, for positions or UVs that are not finite or absurdly large, and for a texture that is no picture.
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
    if ref.texture is not None:
        try:
            inspect_picture(bytes(blobs[ref.texture.blob]))
        except PictureError as error:
            raise MeshFileUnreadable(f"The mesh's texture cannot be used: {error.message}", error.remedy) from error
    return mesh


def read_mesh_input(ref: MeshRef, blobs: Sequence[Blob] | Mapping[int, Blob]) -> Mesh:
    """The mesh of a message with its texture. Raises what :func:`check_mesh` raises."""
    mesh = check_mesh(ref, blobs)
    if ref.texture is None:
        return mesh
    try:
        with Image.open(io.BytesIO(bytes(blobs[ref.texture.blob])), formats=("PNG", "WEBP")) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise MeshFileUnreadable("The mesh's texture is damaged.", "Export the mesh again.") from error
    return attrs.evolve(mesh, texture=Texture(pixels))
