"""Well-formed inputs, from which the cases of the fuzz targets are made."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image
from tests.protocol.samples import client_samples, server_samples

from kiss3d_backend.mesh.glb import write_glb
from kiss3d_backend.mesh.payload import describe_mesh
from kiss3d_backend.mesh.types import Mesh, Texture
from kiss3d_protocol.address import parse_address
from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import Submit
from kiss3d_protocol.pairing_string import PairingString
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import Blob, BlobWriter
from kiss3d_protocol.security import ConnectionKeys, key_pair_of

JOB = "0b8f7c1e-5a55-4d5e-9b1e-0123456789ab"
BETWEEN_FRAMES = b"\xc1|K3D|\xc1"
"""Not in any frame of a seed: 0xc1 is the one byte that msgpack does not use."""


def joined(frames: Sequence[Blob]) -> bytes:
    """A message's frames as one string of bytes, which mutations can work on."""
    return BETWEEN_FRAMES.join(bytes(frame) for frame in frames)


def pixels(width: int = 48, height: int = 40) -> np.ndarray:
    """(H, W, 4) uint8 with something in every channel."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([5 * x, 6 * y, (x * y) % 256, 255 - (x + y)], axis=2).astype(np.uint8)


@cache
def pictures() -> dict[str, bytes]:
    """Every format and the ways to store it that have a decoder of their own, and metadata."""
    rgba = Image.fromarray(pixels())
    rgb, grey = rgba.convert("RGB"), rgba.convert("L")
    exif = Image.Exif()
    exif[0x0112] = 6
    ways: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "rgba.png": (rgba, "PNG", {}),
        "palette.png": (rgb.quantize(16), "PNG", {"transparency": 1}),
        "grey16.png": (Image.fromarray(np.arange(1600, dtype=np.uint16).reshape(40, 40)), "PNG", {}),
        "metadata.png": (rgb, "PNG", {"exif": exif, "icc_profile": b"profile" * 9, "dpi": (72, 72)}),
        "animated.png": (rgb, "PNG", {"save_all": True, "append_images": [rgba]}),
        "base.jpeg": (rgb, "JPEG", {"exif": exif, "icc_profile": b"profile" * 9, "comment": b"words"}),
        "progressive.jpeg": (rgb, "JPEG", {"progressive": True, "subsampling": 2}),
        "cmyk.jpeg": (rgb.convert("CMYK"), "JPEG", {}),
        "two.mpo": (rgb, "MPO", {"save_all": True, "append_images": [grey]}),
        "lossy.webp": (rgba, "WEBP", {"exif": exif}),
        "lossless.webp": (rgba, "WEBP", {"lossless": True}),
        "animated.webp": (rgb, "WEBP", {"save_all": True, "append_images": [grey]}),
        "plain.bmp": (rgb, "BMP", {}),
        "palette.bmp": (rgb.quantize(16), "BMP", {}),
        "animated.gif": (rgb, "GIF", {"save_all": True, "append_images": [grey]}),
        "plain.tiff": (rgba, "TIFF", {"exif": exif}),
        "lzw.tiff": (rgb, "TIFF", {"compression": "tiff_lzw"}),
        "deflate.tiff": (grey, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "jpeg.tiff": (rgb, "TIFF", {"compression": "jpeg"}),
        "float.tiff": (Image.fromarray(np.ones((40, 48), np.float32)), "TIFF", {}),
    }
    found: dict[str, bytes] = {}
    for name, (image, file_format, options) in ways.items():
        file = io.BytesIO()
        image.save(file, file_format, **options)
        found[name] = file.getvalue()
    return found


def solid() -> Mesh:
    """A tetrahedron with a texture, and a map of normals."""
    return Mesh(
        positions=np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32),
        triangles=np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32),
        uvs=np.array([[0, 0], [1, 0], [0, 1]], np.float32),
        uv_triangles=np.array([[0, 2, 1]] * 4, np.int32),
        texture=Texture(pixels()[..., :3]),
        normal_map=Texture(pixels()[..., :3]),
    )


@cache
def submits() -> tuple[bytes, ...]:
    """Jobs with a picture, with a mesh, and with four views, as joined frames."""
    found: list[bytes] = []
    for recipe in ("image_to_3d", "mesh_to_3d", "views_to_3d"):
        writer = BlobWriter()
        picture, views, mesh = None, (), None
        if recipe == "image_to_3d":
            picture = writer.image(pictures()["rgba.png"], "image/png", 48, 40)
        elif recipe == "mesh_to_3d":
            mesh = describe_mesh(solid(), writer)
        else:
            views = tuple(writer.image(pictures()["lossy.webp"], "image/webp") for _ in range(4))
        params = GenerateParams("draft", 1, recipe)
        found.append(joined(encode(Submit(JOB, "seed.png", params, picture, views, mesh), writer.blobs)))
    return tuple(found)


def messages(*, of_clients: bool) -> tuple[bytes, ...]:
    """One message of each type as joined frames."""
    return tuple(joined(encode(*sample)) for sample in (client_samples() if of_clients else server_samples()))


@cache
def mesh_files() -> dict[str, bytes]:
    """By suffix."""
    ply = b"ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
    ply += b"element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
    binary = b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
    binary += b"property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    binary += struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0) + struct.pack("<B3i", 3, 0, 1, 2)
    obj = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl a\nf 1/1 2/2 3/3\nf -3 -2 -1\n"
    return {".glb": write_glb(solid()), ".ply": ply, ".ply binary": binary, ".obj": obj}


def pairing_strings() -> tuple[bytes, ...]:
    """With keys that are always the same, and good for nothing."""
    own = key_pair_of("JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6")
    return (PairingString(parse_address("box:47800"), ConnectionKeys(own.public, own), "anna").to_text().encode(),)
