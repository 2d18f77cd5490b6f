"""A PNG of a mesh from several sides."""

from __future__ import annotations

import io

import attrs
import numpy as np
from PIL import Image

from kiss3d_backend.mesh.render import contact_sheet
from kiss3d_backend.mesh.types import Mesh, Texture


def contact_sheet_png(mesh: Mesh, texture: bytes | None) -> bytes:
    """``texture`` is the encoded texture of the mesh, or None."""
    if texture is not None:
        with Image.open(io.BytesIO(texture), formats=("PNG", "WEBP")) as image:
            mesh = attrs.evolve(mesh, texture=Texture(np.asarray(image.convert("RGB"))))
    buffer = io.BytesIO()
    Image.fromarray(contact_sheet(mesh)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
