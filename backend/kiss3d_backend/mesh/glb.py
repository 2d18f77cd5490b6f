"""Binary glTF 2.0 (https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html), written from the specification."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.corners import split_at_seams
from kiss3d_backend.mesh.normals import vertex_normals
from kiss3d_backend.mesh.tangents import tangent_frames
from kiss3d_backend.mesh.types import Mesh

_FLOAT, _UNSIGNED_BYTE, _UNSIGNED_INT = 5126, 5121, 5125
_ARRAY_BUFFER, _ELEMENT_ARRAY_BUFFER = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
_ROUGHNESS = 0.8


class _Buffer:
    """The one binary buffer, its views and its accessors."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def add_view(self, data: bytes, target: int | None = None) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self.data += data
        self.views.append(view)
        return len(self.views) - 1

    def add_accessor(self, array: NDArray[Any], component: int, kind: str, target: int, **extra: Any) -> int:
        view = self.add_view(np.ascontiguousarray(array).tobytes(), target)
        self.accessors.append(
            {"bufferView": view, "componentType": component, "count": len(array), "type": kind, **extra}
        )
        return len(self.accessors) - 1


def write_glb(mesh: Mesh, texture_png: bytes | None = None, normal_map_png: bytes | None = None) -> bytes:
    """A GLB file with one node, one mesh and one material.

    Vertices are split at UV seams; normals are smooth over the welded topology, so seams do not show.
    ``texture_png``: the encoded texture (a PNG file), used when the mesh has UVs. Colours are written as
    COLOR_0, in the linear space that glTF asks for, when there is no texture. ``normal_map_png``: the encoded normal
    map, used when the mesh has UVs; the tangents that it was baked for are written with it. Raises ValueError for an
    empty mesh.
    """
    if len(mesh.triangles) == 0:
        raise ValueError("a mesh without triangles cannot be written")
    split = split_at_seams(mesh)
    positions = mesh.positions[split.vertices].astype("<f4")
    normals = vertex_normals(mesh.positions, mesh.triangles)[split.vertices].astype("<f4")
    buffer = _Buffer()
    attributes = {
        "POSITION": buffer.add_accessor(
            positions,
            _FLOAT,
            "VEC3",
            _ARRAY_BUFFER,
            min=positions.min(axis=0).tolist(),
            max=positions.max(axis=0).tolist(),
        ),
        "NORMAL": buffer.add_accessor(normals, _FLOAT, "VEC3", _ARRAY_BUFFER),
    }
    textured = split.uvs is not None and texture_png is not None
    bumpy = split.uvs is not None and normal_map_png is not None
    if bumpy:
        tangents = tangent_frames(mesh).tangents.astype("<f4")
        attributes["TANGENT"] = buffer.add_accessor(tangents, _FLOAT, "VEC4", _ARRAY_BUFFER)
    if split.uvs is not None:
        flipped = np.stack([split.uvs[:, 0], 1.0 - split.uvs[:, 1]], axis=1).astype("<f4")
        attributes["TEXCOORD_0"] = buffer.add_accessor(flipped, _FLOAT, "VEC2", _ARRAY_BUFFER)
    if mesh.colours is not None and not textured:
        linear = _linear_colours(mesh.colours)[split.vertices]
        attributes["COLOR_0"] = buffer.add_accessor(linear, _FLOAT, "VEC4", _ARRAY_BUFFER)
    indices = buffer.add_accessor(split.triangles.astype("<u4").ravel(), _UNSIGNED_INT, "SCALAR", _ELEMENT_ARRAY_BUFFER)
    surface: dict[str, Any] = {"metallicFactor": 0.0, "roughnessFactor": _ROUGHNESS}
    material: dict[str, Any] = {"name": "Kiss3D", "pbrMetallicRoughness": surface}
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Kiss3D"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "Kiss3D"}],
        "meshes": [
            {
                "name": "Kiss3D",
                "primitives": [{"attributes": attributes, "indices": indices, "material": 0}],
            }
        ],
        "materials": [material],
    }
    pictures: list[tuple[str, bytes]] = []
    if textured and texture_png is not None:
        surface["baseColorTexture"] = {"index": len(pictures)}
        pictures.append(("Kiss3D", texture_png))
    if bumpy and normal_map_png is not None:
        material["normalTexture"] = {"index": len(pictures)}
        pictures.append(("Kiss3D normals", normal_map_png))
    if pictures:
        document["textures"] = [{"source": index, "sampler": 0} for index in range(len(pictures))]
        document["images"] = [
            {"name": name, "mimeType": "image/png", "bufferView": buffer.add_view(png)} for name, png in pictures
        ]
        document["samplers"] = [
            {
                "magFilter": _LINEAR,
                "minFilter": _LINEAR_MIPMAP_LINEAR,
                "wrapS": _CLAMP_TO_EDGE,
                "wrapT": _CLAMP_TO_EDGE,
            }
        ]
    document["bufferViews"] = buffer.views
    document["accessors"] = buffer.accessors
    document["buffers"] = [{"byteLength": len(buffer.data)}]
    return _container(document, bytes(buffer.data))


def _container(document: dict[str, Any], binary: bytes) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    length = 12 + 8 + len(text) + 8 + len(binary)
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, length),
            struct.pack("<I4s", len(text), b"JSON"),
            text,
            struct.pack("<I4s", len(binary), b"BIN\0"),
            binary,
        ]
    )


def _linear_colours(colours: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(V, 4) float32: sRGB to linear light (IEC 61966-2-1); alpha is linear already."""
    value = colours.astype(np.float32) / 255.0
    rgb = value[:, :3]
    value[:, :3] = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return value
