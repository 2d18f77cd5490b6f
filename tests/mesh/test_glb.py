"""GLB files: as the specification wants them, and as another reader sees them."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from tests.mesh.shapes import ring

from kiss3d_backend.mesh.glb import write_glb
from kiss3d_backend.mesh.inflate import inflate
from kiss3d_backend.mesh.silhouette import silhouette_grid
from kiss3d_backend.mesh.types import Mesh, Texture

COMPONENT_BYTES = {5121: 1, 5123: 2, 5125: 4, 5126: 4}
TYPE_COUNT = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


def textured_ring() -> Mesh:
    """A ring whose front texture is red above and blue below, and whose back is green."""
    grid = silhouette_grid(ring(), 40)
    body = inflate(grid)
    positions = (body.positions * (1, -1, 1)).astype(np.float32)
    positions -= (positions.min(axis=0) + positions.max(axis=0)) / 2
    uvs, uv_triangles = front_and_back_uvs(positions, body.triangles)
    pixels = np.zeros((64, 128, 3), dtype=np.uint8)
    pixels[:32, :64] = (255, 0, 0)
    pixels[32:, :64] = (0, 0, 255)
    pixels[:, 64:] = (0, 255, 0)
    return Mesh(positions, body.triangles, uvs, uv_triangles, None, Texture(pixels))


def front_and_back_uvs(positions: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The front in the left half of the texture as seen from +z, the back in the right half as seen from -z."""
    across = 0.5 + 0.94 * positions[:, 0] / np.ptp(positions[:, :2], axis=0).max()
    up = 0.5 + 0.94 * positions[:, 1] / np.ptp(positions[:, :2], axis=0).max()
    uvs = np.concatenate([np.stack([across / 2, up], axis=1), np.stack([1 - across / 2, up], axis=1)])
    front = positions[triangles, 2].sum(axis=1) > 0
    index = np.where(front[:, None], triangles, triangles + len(positions))
    used, compact = np.unique(index.ravel(), return_inverse=True)
    return uvs[used].astype(np.float32), compact.reshape(-1, 3).astype(np.int32)


def as_png(texture: Texture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(texture.pixels).save(file, "PNG")
    return file.getvalue()


def parsed(data: bytes) -> tuple[dict[str, Any], bytes]:
    magic, version, length = struct.unpack("<4sII", data[:12])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    text_length, kind = struct.unpack("<I4s", data[12:20])
    assert kind == b"JSON"
    assert text_length % 4 == 0
    document = json.loads(data[20 : 20 + text_length])
    binary_length, kind = struct.unpack("<I4s", data[20 + text_length : 28 + text_length])
    assert kind == b"BIN\0"
    assert binary_length % 4 == 0
    assert 28 + text_length + binary_length == len(data)
    return document, data[28 + text_length :]


def check_structure(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The document and its attributes by name."""
    document, binary = parsed(data)
    assert document["asset"]["version"] == "2.0"
    assert document["buffers"][0]["byteLength"] <= len(binary)
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= document["buffers"][0]["byteLength"]
    arrays = []
    for accessor in document["accessors"]:
        view = document["bufferViews"][accessor["bufferView"]]
        size = COMPONENT_BYTES[accessor["componentType"]] * TYPE_COUNT[accessor["type"]] * accessor["count"]
        assert size == view["byteLength"]
        dtype = "<f4" if accessor["componentType"] == 5126 else "<u4"
        array = np.frombuffer(binary, dtype, count=size // 4, offset=view["byteOffset"])
        arrays.append(array.reshape(-1, TYPE_COUNT[accessor["type"]]))
    primitive = document["meshes"][0]["primitives"][0]
    attributes = primitive["attributes"]
    positions = arrays[attributes["POSITION"]]
    np.testing.assert_array_equal(document["accessors"][attributes["POSITION"]]["min"], positions.min(axis=0))
    np.testing.assert_array_equal(document["accessors"][attributes["POSITION"]]["max"], positions.max(axis=0))
    assert len({len(arrays[index]) for index in attributes.values()}) == 1
    np.testing.assert_allclose(np.linalg.norm(arrays[attributes["NORMAL"]], axis=1), 1, atol=1e-5)
    assert arrays[primitive["indices"]].max() < len(positions)
    return document, {name: arrays[index] for name, index in attributes.items()}


def test_structure() -> None:
    mesh = textured_ring()
    document, _ = check_structure(write_glb(mesh, as_png(mesh.texture)))
    assert document["images"][0]["mimeType"] == "image/png"
    material = document["materials"][0]["pbrMetallicRoughness"]
    assert material["metallicFactor"] == 0
    assert material["roughnessFactor"] == pytest.approx(0.8)


def test_a_normal_map_brings_its_tangents() -> None:
    mesh = textured_ring()
    flat = Texture(np.full((8, 16, 3), (128, 128, 255), dtype=np.uint8))
    document, attributes = check_structure(write_glb(mesh, as_png(mesh.texture), as_png(flat)))
    tangents = attributes["TANGENT"]
    np.testing.assert_allclose(np.linalg.norm(tangents[:, :3], axis=1), 1, atol=1e-5)
    assert np.abs(np.einsum("ij,ij->i", tangents[:, :3], attributes["NORMAL"])).max() < 1e-4
    assert set(np.unique(tangents[:, 3])) <= {-1.0, 1.0}
    material = document["materials"][0]
    used = (material["pbrMetallicRoughness"]["baseColorTexture"]["index"], material["normalTexture"]["index"])
    images = [document["images"][document["textures"][index]["source"]]["name"] for index in used]
    assert images == ["Kiss3D", "Kiss3D normals"]
    loaded = trimesh.load(
        io.BytesIO(write_glb(mesh, as_png(mesh.texture), as_png(flat))), file_type="glb", force="mesh"
    )
    assert loaded.visual.material.normalTexture.size == (16, 8)
    only_bumps, _ = check_structure(write_glb(mesh, None, as_png(flat)))
    assert only_bumps["materials"][0]["normalTexture"]["index"] == 0


def test_another_reader_sees_the_same_mesh() -> None:
    mesh = textured_ring()
    loaded = trimesh.load(io.BytesIO(write_glb(mesh, as_png(mesh.texture))), file_type="glb", force="mesh")
    assert len(loaded.faces) == len(mesh.triangles)
    welded = trimesh.Trimesh(loaded.vertices, loaded.faces, process=False)
    welded.merge_vertices(merge_tex=True, merge_norm=True)
    assert len(welded.vertices) == len(mesh.positions)
    assert welded.is_watertight
    assert welded.is_winding_consistent
    assert welded.volume > 0
    assert welded.body_count == 1


def test_the_texture_is_the_right_way_up_and_the_right_side_in_front() -> None:
    mesh = textured_ring()
    loaded = trimesh.load(io.BytesIO(write_glb(mesh, as_png(mesh.texture))), file_type="glb", force="mesh")
    colours = loaded.visual.to_color().vertex_colors[:, :3]
    _, y, z = loaded.vertices.T
    assert (colours[(z > 3) & (y > 5)] == (255, 0, 0)).all()
    assert (colours[(z > 3) & (y < -5)] == (0, 0, 255)).all()
    assert (colours[z < -3] == (0, 255, 0)).all()


def test_normals_do_not_break_at_the_seam() -> None:
    mesh = textured_ring()
    _, attributes = check_structure(write_glb(mesh, as_png(mesh.texture)))
    positions = attributes["POSITION"]
    rim = np.flatnonzero(positions[:, 2] == 0)
    order = rim[np.lexsort(positions[rim].T)]
    pairs = attributes["NORMAL"][order].reshape(-1, 2, 3)
    assert len(pairs) > 50
    np.testing.assert_allclose(pairs[:, 0], pairs[:, 1], atol=1e-6)


def test_colours_without_a_texture() -> None:
    mesh = textured_ring()
    grey = np.full((len(mesh.positions), 4), (188, 188, 188, 255), dtype=np.uint8)
    document, _ = check_structure(write_glb(Mesh(mesh.positions, mesh.triangles, colours=grey)))
    assert "COLOR_0" in document["meshes"][0]["primitives"][0]["attributes"]
    assert "images" not in document


def test_an_empty_mesh_is_refused() -> None:
    with pytest.raises(ValueError, match="without triangles"):
        write_glb(Mesh(np.zeros((3, 3), dtype=np.float32), np.zeros((0, 3), dtype=np.int32)))
