"""Mesh files: what they hold is kept, what is wrong with them is said."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.spatial import KDTree
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

from kiss3d_backend.mesh import read
from kiss3d_backend.mesh.glb import write_glb
from kiss3d_backend.mesh.png import encode_png
from kiss3d_backend.mesh.read import Model, read_mesh_file, read_model
from kiss3d_backend.mesh.types import Mesh, Texture
from kiss3d_protocol.errors import Kiss3DError, MeshEmpty, MeshFileMissing, MeshFileUnreadable, MeshTooLarge

RANDOM = np.random.default_rng(0)


def ball() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(2, 0.5)


def coloured_ball() -> tuple[trimesh.Trimesh, np.ndarray]:
    mesh = ball()
    colours = np.concatenate(
        [RANDOM.integers(0, 256, (len(mesh.vertices), 3)), np.full((len(mesh.vertices), 1), 255)], axis=1
    ).astype(np.uint8)
    mesh.visual.vertex_colors = colours
    return mesh, colours


def noisy_picture() -> np.ndarray:
    return RANDOM.integers(0, 256, (32, 48, 3), dtype=np.uint8)


def only(model: Model) -> Mesh:
    [part] = model.parts
    return part


def nearest(part: Mesh, points: np.ndarray) -> np.ndarray:
    distance, index = KDTree(part.positions).query(points)
    assert distance.max() < 1e-6
    return index


@pytest.mark.parametrize("suffix", [".ply", ".obj", ".OBJ"])
def test_vertex_colours_are_kept(tmp_path: Path, suffix: str) -> None:
    mesh, colours = coloured_ball()
    path = tmp_path / f"ball{suffix}"
    mesh.export(path, file_type=suffix[1:].lower())
    part = only(read_model(path))
    assert part.colours is not None
    assert part.texture is None
    assert len(part.positions) == len(mesh.vertices)
    np.testing.assert_allclose(part.colours[nearest(part, mesh.vertices)], colours, atol=1)


def test_our_own_glb_comes_back_whole(tmp_path: Path) -> None:
    shape, colours = coloured_ball()
    mesh = Mesh(shape.vertices.astype(np.float32), shape.faces.astype(np.int32), colours=colours)
    path = tmp_path / "ball.glb"
    path.write_bytes(write_glb(mesh))
    part = only(read_model(path))
    assert part.colours is not None
    np.testing.assert_array_equal(part.colours[nearest(part, mesh.positions)], colours)

    pixels = noisy_picture()
    uvs = RANDOM.random((3 * len(mesh.triangles), 2)).astype(np.float32)
    corners = np.arange(len(uvs), dtype=np.int32).reshape(-1, 3)
    textured = Mesh(mesh.positions, mesh.triangles, uvs, corners, None, Texture(pixels))
    path.write_bytes(write_glb(textured, encode_png(pixels)))
    part = only(read_model(path))
    assert part.texture is not None
    assert part.uvs is not None
    assert part.uv_triangles is not None
    np.testing.assert_array_equal(part.texture.pixels, pixels)
    assert len(part.positions) == len(mesh.positions), "seams of the texture do not split the surface"
    np.testing.assert_allclose(part.uvs[part.uv_triangles], uvs[corners], atol=1e-6)
    np.testing.assert_allclose(part.positions[part.triangles], mesh.positions[mesh.triangles], atol=1e-6)


@pytest.mark.parametrize("suffix", [".glb", ".obj"])
def test_textures_are_kept(tmp_path: Path, suffix: str) -> None:
    mesh = trimesh.creation.box()
    pixels = noisy_picture()
    material: Any = PBRMaterial(baseColorTexture=Image.fromarray(pixels))
    if suffix == ".obj":
        material = trimesh.visual.material.SimpleMaterial(Image.fromarray(pixels))
    uvs = RANDOM.random((len(mesh.vertices), 2))
    mesh.visual = TextureVisuals(uv=uvs, material=material)
    mesh.export(tmp_path / f"box{suffix}")
    part = only(read_model(tmp_path / f"box{suffix}"))
    assert part.texture is not None
    assert part.uvs is not None
    assert part.uv_triangles is not None
    np.testing.assert_array_equal(part.texture.pixels, pixels)
    index = nearest(part, mesh.vertices)
    given = {int(vertex): uv for vertex, uv in zip(index, uvs, strict=True)}
    for vertex, uv in zip(part.triangles.ravel(), part.uvs[part.uv_triangles].reshape(-1, 2), strict=True):
        np.testing.assert_allclose(uv, given[int(vertex)], atol=1e-5)


def test_plain_materials_colour_their_part(tmp_path: Path) -> None:
    mesh = trimesh.creation.box()
    mesh.visual = TextureVisuals(material=PBRMaterial(baseColorFactor=[255, 0, 55, 255]))
    mesh.export(tmp_path / "red.glb")
    part = only(read_model(tmp_path / "red.glb"))
    assert part.colours is not None
    # 55 / 255 in linear light is 128 in sRGB.
    np.testing.assert_array_equal(np.unique(part.colours, axis=0), [[255, 0, 128, 255]])
    trimesh.creation.box().export(tmp_path / "plain.glb")
    assert only(read_model(tmp_path / "plain.glb")).colours is None


def test_colours_of_faces_split_their_corners(tmp_path: Path) -> None:
    mesh = trimesh.creation.box()
    mesh.visual.face_colors = np.repeat(np.arange(0, 240, 20)[:, None], 4, axis=1).astype(np.uint8)
    mesh.export(tmp_path / "box.ply")
    part = only(read_model(tmp_path / "box.ply"))
    assert part.colours is not None
    np.testing.assert_array_equal(part.colours[part.triangles].std(axis=1), 0)
    assert len(read_mesh_file(tmp_path / "box.ply").positions) == 8


def test_scenes_are_flattened(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(ball(), transform=trimesh.transformations.translation_matrix((3, 0, 0)))
    box, turn = trimesh.creation.box((1, 2, 4)), trimesh.transformations.rotation_matrix(np.pi / 2, (0, 0, 1))
    scene.add_geometry(box, node_name="turned", transform=turn)
    scene.add_geometry(box, parent_node_name="turned", transform=np.diag([-0.5, 0.5, 0.5, 1.0]))
    scene.export(tmp_path / "scene.glb")
    model = read_model(tmp_path / "scene.glb")
    assert len(model.parts) == 3
    assert model.triangles == 320 + 12 + 12
    np.testing.assert_allclose(model.bounds(), [[-1, -0.5, -2], [3.5, 0.5, 2]], atol=1e-6)
    volumes = sorted(trimesh.Trimesh(part.positions, part.triangles, process=False).volume for part in model.parts)
    np.testing.assert_allclose(volumes, [ball().volume, 1.0, 8.0], rtol=1e-4, err_msg="a mirror does not turn faces")
    whole = model.geometry()
    assert whole.triangles.max() == len(whole.positions) - 1
    assert trimesh.Trimesh(whole.positions, whole.triangles, process=False).is_watertight


def test_a_model_is_moved(tmp_path: Path) -> None:
    trimesh.creation.box((1, 2, 4)).apply_translation((5, 5, 5)).export(tmp_path / "box.ply")
    moved = read_model(tmp_path / "box.ply").moved(0.5, np.array([5.0, 5.0, 5.0]))
    np.testing.assert_allclose(moved.bounds(), [[-0.25, -0.5, -1], [0.25, 0.5, 1]])


# What is wrong with files


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MeshFileMissing, match="no file"):
        read_model(tmp_path / "none.glb")
    with pytest.raises(MeshFileUnreadable, match="folder"):
        read_model(tmp_path)


def test_another_format(tmp_path: Path) -> None:
    (tmp_path / "mesh.blend").write_bytes(b"BLENDER")
    with pytest.raises(MeshFileUnreadable, match="format"):
        read_model(tmp_path / "mesh.blend")


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ball().export(tmp_path / "ball.ply")
    monkeypatch.setattr(read, "MOST_FACES", 319)
    with pytest.raises(MeshTooLarge, match="320 faces"):
        read_model(tmp_path / "ball.ply")
    monkeypatch.setattr(read, "MOST_BYTES", 100)
    with pytest.raises(MeshTooLarge, match="MiB"):
        read_model(tmp_path / "ball.ply")


def test_without_faces(tmp_path: Path) -> None:
    trimesh.PointCloud(RANDOM.random((10, 3))).export(tmp_path / "points.ply")
    (tmp_path / "points.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\n", encoding="utf-8")
    (tmp_path / "flat.obj").write_text("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n", encoding="utf-8")
    (tmp_path / "point.obj").write_text("v 0 0 0\nv 0 0 0\nv 0 0 0\nf 1 2 3\n", encoding="utf-8")
    for name in ("points.ply", "points.obj", "flat.obj", "point.obj"):
        with pytest.raises((MeshEmpty, MeshFileUnreadable)) as caught:
            read_model(tmp_path / name)
        assert caught.value.message.endswith("."), name
    with pytest.raises(MeshEmpty):
        read_model(tmp_path / "flat.obj")


def test_vertices_at_no_finite_place(tmp_path: Path) -> None:
    for bad in ("nan", "inf", "1e300"):
        (tmp_path / "bad.obj").write_text(f"v {bad} 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", encoding="utf-8")
        with pytest.raises(MeshFileUnreadable):
            read_model(tmp_path / "bad.obj")


def glb_of(document: dict[str, Any], binary: bytes = b"") -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    length = 20 + len(text) + (8 + len(binary) if binary else 0)
    chunk = struct.pack("<I4s", len(binary), b"BIN\0") + binary if binary else b""
    return struct.pack("<4sIII4s", b"glTF", 2, length, len(text), b"JSON") + text + chunk


TRIANGLE = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], dtype="<f4").tobytes()


def triangle_glb(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "buffers": [{"byteLength": 36}],
        "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": 36}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}],
    }
    return {**document, **changes}


def test_the_smallest_glb_is_read(tmp_path: Path) -> None:
    (tmp_path / "one.glb").write_bytes(glb_of(triangle_glb(), TRIANGLE))
    assert read_model(tmp_path / "one.glb").triangles == 1


ACCESSOR = {"bufferView": 0, "componentType": 5126, "type": "VEC3"}


@pytest.mark.parametrize(
    "changes",
    [
        {"accessors": [{**ACCESSOR, "count": 10**12}]},
        {"accessors": [{**ACCESSOR, "count": -3}]},
        {"accessors": [{"componentType": 5126, "type": "VEC3", "count": 10**11}]},
        {"accessors": [{**ACCESSOR, "count": 3, "bufferView": 7}]},
        {"accessors": [{**ACCESSOR, "count": 30}]},
        {"accessors": "no"},
        {"bufferViews": [{"buffer": 0, "byteLength": 10**12}]},
        {"nodes": [{"mesh": 0, "children": [1]}, {"children": [0]}]},
        {"nodes": [{"mesh": 0, "children": [0]}]},
        {"nodes": [{"mesh": 0}, {"children": [2]}, {"children": [1]}]},
        {"nodes": [{"mesh": 0, "children": [5]}]},
        {"nodes": [{"mesh": 9}]},
        {"nodes": [{"mesh": 0, "matrix": [float("nan")] * 16}]},
        {"buffers": [{"byteLength": 36, "uri": "../../secret.bin"}]},
        {"extensionsRequired": ["KHR_draco_mesh_compression"]},
        {"meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 99}]}]},
    ],
)
def test_hostile_glbs_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "bad.glb").write_bytes(glb_of(triangle_glb(**changes), TRIANGLE))
    with pytest.raises((MeshFileUnreadable, MeshEmpty)):
        read_model(tmp_path / "bad.glb")


def test_compression_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.glb").write_bytes(glb_of(triangle_glb(extensionsRequired=["KHR_draco_mesh_compression"])))
    with pytest.raises(MeshFileUnreadable, match="Draco"):
        read_model(tmp_path / "bad.glb")


@pytest.mark.parametrize("count", ["999999999999", "9" * 40, "-1"])
def test_hostile_plys_are_refused(tmp_path: Path, count: str) -> None:
    header = (
        f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\nproperty float x\nproperty float y\n"
        "property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    )
    (tmp_path / "bad.ply").write_bytes(header.encode() + TRIANGLE)
    with pytest.raises(MeshFileUnreadable):
        read_model(tmp_path / "bad.ply")


def _exported(suffix: str) -> bytes:
    mesh, _ = coloured_ball()
    data = mesh.export(file_type=suffix[1:])
    return data if isinstance(data, bytes) else str(data).encode()


def _cut(data: bytes, part: float) -> bytes:
    return data[: int(len(data) * part)]


def _scrambled(data: bytes, seed: float) -> bytes:
    random = np.random.default_rng(int(seed * 1000))
    damaged = np.frombuffer(data, dtype=np.uint8).copy()
    damaged[random.integers(0, len(damaged), 40)] = random.integers(0, 256, 40)
    return damaged.tobytes()


@pytest.mark.parametrize("suffix", read.SUFFIXES)
@pytest.mark.parametrize("damage", [_cut, _scrambled])
def test_damaged_files_are_read_or_refused(
    tmp_path: Path, suffix: str, damage: Callable[[bytes, float], bytes]
) -> None:
    whole = _exported(suffix)
    for degree in (0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        (tmp_path / f"bad{suffix}").write_bytes(damage(whole, degree))
        try:
            model = read_model(tmp_path / f"bad{suffix}")
        except Kiss3DError as error:
            assert error.code.startswith("mesh.")
        else:
            assert all(np.isfinite(part.positions).all() for part in model.parts)


def test_references_do_not_leave_the_folder(tmp_path: Path) -> None:
    secret = Image.fromarray(np.full((4, 4, 3), 77, dtype=np.uint8))
    secret.save(tmp_path / "secret.png")
    folder = tmp_path / "meshes"
    folder.mkdir()
    secret.save(folder / "open.png")
    mesh = "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl m\nf 1/1 2/2 3/3\n"
    (folder / "mesh.obj").write_text(mesh, encoding="utf-8")
    for name, found in (("open.png", True), ("../secret.png", False), (str(tmp_path / "secret.png"), False)):
        (folder / "m.mtl").write_text(f"newmtl m\nmap_Kd {name}\n", encoding="utf-8")
        assert (only(read_model(folder / "mesh.obj")).texture is not None) == found


def test_a_texture_that_another_program_would_have_to_read_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4, 3), 77, dtype=np.uint8)).save(tmp_path / "post.png", "EPS")
    (tmp_path / "m.mtl").write_text("newmtl m\nmap_Kd post.png\n", encoding="utf-8")
    mesh = "mtllib m.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl m\nf 1/1 2/2 3/3\n"
    (tmp_path / "mesh.obj").write_text(mesh, encoding="utf-8")
    with pytest.raises(MeshFileUnreadable, match="EPS"):
        read_model(tmp_path / "mesh.obj")
