"""Mesh files from outside: GLB, OBJ (with its MTL and textures) and PLY.

trimesh parses them. What a hostile file could do with a parser is ruled out before: sizes and counts that the file
does not hold, endless scene graphs, and references to files elsewhere on the disc or the net.
"""

from __future__ import annotations

import io
import json
import re
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.types import Mesh, Texture
from kiss3d_protocol.errors import MeshEmpty, MeshError, MeshFileMissing, MeshFileUnreadable, MeshTooLarge

if TYPE_CHECKING:
    import trimesh
    from PIL import Image

SUFFIXES = (".glb", ".obj", ".ply")
MOST_BYTES = 512 * 2**20
MOST_FACES = 10_000_000
MOST_PARTS = 20_000
MOST_TEXTURE_PIXELS = 100_000_000

_ASIDE_SUFFIXES = (".mtl", ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".tga")
_TEXTURE_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "TGA", "GIF")
_MOST_ASIDE_BYTES = 128 * 2**20
_UNSUPPORTED = {
    "KHR_draco_mesh_compression": "Draco compression",
    "EXT_meshopt_compression": "meshopt compression",
    "KHR_texture_basisu": "Basis textures",
}


@attrs.frozen(eq=False)
class Model:
    """What a file holds, flattened into world coordinates.

    ``parts``: one :class:`Mesh` for each use of a mesh and material; welded, with texture, vertex colours or neither.
    """

    parts: tuple[Mesh, ...]

    @property
    def triangles(self) -> int:
        return sum(len(part.triangles) for part in self.parts)

    def geometry(self) -> Mesh:
        """All parts as one welded mesh without colours."""
        first = np.cumsum([0, *(len(part.positions) for part in self.parts)])
        triangles = [part.triangles.astype(np.int64) + first[index] for index, part in enumerate(self.parts)]
        positions, triangles, _ = _weld(
            np.concatenate([part.positions for part in self.parts]), np.concatenate(triangles), None
        )
        return Mesh(positions, triangles)

    def moved(self, scale: float, offset: NDArray[np.floating]) -> Model:
        """Every position p as ``scale * (p - offset)``."""
        return Model(
            tuple(
                attrs.evolve(part, positions=((part.positions.astype(np.float64) - offset) * scale).astype(np.float32))
                for part in self.parts
            )
        )

    def bounds(self) -> NDArray[np.float32]:
        """(2, 3): the least and the greatest coordinates of all faces."""
        used = [part.positions[np.unique(part.triangles)] for part in self.parts]
        return np.stack([np.min([p.min(axis=0) for p in used], axis=0), np.max([p.max(axis=0) for p in used], axis=0)])


def read_mesh_file(path: Path) -> Mesh:
    """The geometry of a mesh file, welded, without colours. Raises what :func:`read_model` raises."""
    return read_model(path).geometry()


def read_model(path: Path) -> Model:
    """Reads a mesh file with its colours and textures.

    Raises :class:`MeshFileMissing`, :class:`MeshFileUnreadable` (another format, damaged, compressed),
    :class:`MeshTooLarge` and :class:`MeshEmpty` (no face with an area).
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        raise MeshFileUnreadable(f"'{path}' is a folder, not a mesh.", "Choose one mesh inside the folder.")
    try:
        size = path.stat().st_size
        if suffix not in SUFFIXES:
            raise MeshFileUnreadable(
                f"'{path.name}' is not a mesh in a format that Kiss3D reads.", "Export it as GLB, OBJ or PLY."
            )
        if size > MOST_BYTES:
            raise MeshTooLarge(f"'{path.name}' has {size / 2**20:.0f} MiB; at most {MOST_BYTES // 2**20} can be read.")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MeshFileMissing(f"There is no file '{path}'.") from error
    except OSError as error:
        raise MeshFileUnreadable(
            f"The file '{path}' cannot be read ({error.strerror}).", "Check that you may read it."
        ) from error
    if suffix == ".glb":
        _check_glb(data)
    elif suffix == ".ply":
        _check_ply(data)
    parts: tuple[Mesh, ...] = ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts = _parsed(data, suffix, path)
    except MeshError:
        raise
    except MemoryError as error:
        raise MeshTooLarge(f"'{path.name}' does not fit into the memory.") from error
    except Exception as error:
        # A parser that is given damaged bytes may raise anything; to the user it is all the same.
        raise MeshFileUnreadable(f"The mesh file '{path.name}' is damaged.") from error
    if not any(_has_area(part) for part in parts):
        raise MeshEmpty(f"'{path.name}' holds no faces with an area.")
    return Model(parts)


def _has_area(part: Mesh) -> bool:
    a, b, c = (part.positions[part.triangles[:, corner]].astype(np.float64) for corner in range(3))
    return bool((np.cross(b - a, c - a) != 0).any())


def _parsed(data: bytes, suffix: str, path: Path) -> tuple[Mesh, ...]:
    import trimesh

    scene = trimesh.load_scene(
        io.BytesIO(data), file_type=suffix[1:], resolver=_neighbours(path), process=False, allow_remote=False
    )
    uses = [scene.graph[node] for node in scene.graph.nodes_geometry]
    faces = sum(len(getattr(scene.geometry[name], "faces", ())) for _, name in uses)
    if faces > MOST_FACES or len(uses) > MOST_PARTS:
        raise MeshTooLarge(
            f"'{path.name}' has {faces:,} faces in {len(uses):,} parts; at most {MOST_FACES:,} and {MOST_PARTS:,}."
        )
    textures: dict[int, Texture | None] = {}
    parts = []
    for matrix, name in uses:
        geometry = scene.geometry[name]
        if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
            part = _part(geometry, np.asarray(matrix, dtype=np.float64), suffix == ".glb", textures)
            if len(part.triangles):
                parts.append(part)
    return tuple(parts)


def _part(
    geometry: trimesh.Trimesh, matrix: NDArray[np.float64], linear: bool, textures: dict[int, Texture | None]
) -> Mesh:
    """``linear``: vertex colours are linear light, as in glTF, not sRGB."""
    positions = np.asarray(geometry.vertices, dtype=np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
    faces = np.asarray(geometry.faces, dtype=np.int64)
    if faces.min() < 0 or faces.max() >= len(positions):
        raise MeshFileUnreadable("The mesh file refers to vertices that it does not have.")
    used = np.unique(faces)
    if not np.isfinite(positions[used]).all() or np.abs(positions[used]).max() > 1e18:
        raise MeshFileUnreadable("The mesh file has vertices at no finite place.")
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = faces[:, ::-1]
    faces, texture, uvs, colours, positions = _appearance(geometry, faces, positions, linear, textures)
    # Welding would join corners of different colours; then each point keeps the first one's.
    welded, triangles, first = _weld(positions.astype(np.float32), faces, colours)
    whole = (
        (triangles[:, 0] != triangles[:, 1])
        & (triangles[:, 1] != triangles[:, 2])
        & (triangles[:, 2] != triangles[:, 0])
    )
    return Mesh(
        positions=welded,
        triangles=triangles[whole],
        uvs=uvs,
        uv_triangles=None if uvs is None else np.ascontiguousarray(faces[whole], dtype=np.int32),
        colours=None if colours is None else colours[first],
        texture=texture,
    )


def _appearance(
    geometry: trimesh.Trimesh,
    faces: NDArray[np.int64],
    positions: NDArray[np.float64],
    linear: bool,
    textures: dict[int, Texture | None],
) -> tuple[
    NDArray[np.int64], Texture | None, NDArray[np.float32] | None, NDArray[np.uint8] | None, NDArray[np.float64]
]:
    # Which attributes a visual has depends on its kind.
    visual: Any = geometry.visual
    if visual is None or not visual.defined:
        return faces, None, None, None, positions
    if visual.kind == "texture":
        material = visual.material
        uv = getattr(visual, "uv", None)
        if id(material) not in textures:
            textures[id(material)] = _texture(material)
        texture = textures[id(material)]
        if texture is not None and uv is not None and len(uv) == len(positions):
            uvs = np.nan_to_num(np.asarray(uv, dtype=np.float32)[:, :2], posinf=0.0, neginf=0.0)
            return faces, texture, uvs, None, positions
        given = visual.vertex_attributes.get("color") if hasattr(visual, "vertex_attributes") else None
        if given is not None and len(given) == len(positions):
            return faces, None, None, _colours(np.asarray(given), linear), positions
        plain = _plain_colour(material)
        colours = None if plain is None else np.tile(plain, (len(positions), 1))
        return faces, None, None, colours, positions
    if visual.kind == "face":
        # Every face gets corners of its own; welding leaves apart what differs in colour.
        colours = np.repeat(_colours(np.asarray(visual.face_colors), False), 3, axis=0)
        own = np.arange(3 * len(faces)).reshape(-1, 3)
        return own, None, None, colours, positions[faces.ravel()]
    return faces, None, None, _colours(np.asarray(visual.vertex_colors), linear), positions


def _weld(
    positions: NDArray[np.float32], faces: NDArray[np.int64], colours: NDArray[np.uint8] | None
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
    """One vertex for each position (and colour) that a face uses, and for each the first index that had it."""
    used, corners = np.unique(faces, return_inverse=True)
    # Plus zero: -0.0 and 0.0 are the same place.
    key = (positions[used] + np.float32(0.0)).view(np.int32)
    if colours is not None:
        key = np.concatenate([key, np.ascontiguousarray(colours[used]).view(np.int32)], axis=1)
    packed = np.ascontiguousarray(key).view(np.dtype((np.void, key.shape[1] * 4))).ravel()
    _, first, place = np.unique(packed, return_index=True, return_inverse=True)
    triangles = place.ravel()[corners.reshape(faces.shape)]
    return positions[used[first]], np.ascontiguousarray(triangles, dtype=np.int32), used[first]


def _colours(given: NDArray[Any], linear: bool) -> NDArray[np.uint8]:
    """(N, 4) uint8 sRGB."""
    value = given.astype(np.float64)
    if given.dtype.kind in "iu":
        value /= np.iinfo(given.dtype).max
    value = np.clip(np.nan_to_num(value), 0.0, 1.0)
    if value.shape[1] == 3:
        value = np.concatenate([value, np.ones((len(value), 1))], axis=1)
    if linear:
        value[:, :3] = _to_srgb(value[:, :3])
    return np.rint(value * 255).astype(np.uint8)


def _to_srgb(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """IEC 61966-2-1."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0) ** (1 / 2.4) - 0.055)


def _base_factor(material: Any) -> NDArray[np.float64] | None:
    """The colour (3,) in linear light that a glTF material multiplies its texture with."""
    factor = getattr(material, "baseColorFactor", None)
    if factor is None:
        return None
    given = np.asarray(factor)
    value = given.astype(np.float64) / (255.0 if given.dtype.kind in "iu" else 1.0)
    return np.clip(value[:3], 0.0, 1.0)


def _texture(material: Any) -> Texture | None:
    image: Image.Image | None = getattr(material, "baseColorTexture", None)
    if image is None:
        image = getattr(material, "image", None)
    if image is None:
        return None
    # Nothing is decoded yet. Pillow knows formats, too, for which it starts other programs (EPS: Ghostscript).
    if image.format is not None and image.format not in _TEXTURE_FORMATS:
        raise MeshFileUnreadable(f"A texture is a {image.format} file.", "Export the mesh with PNG or JPEG textures.")
    if image.width * image.height > MOST_TEXTURE_PIXELS:
        raise MeshTooLarge(f"A texture has {image.width} x {image.height} pixels; at most 100 megapixels can be read.")
    pixels = np.asarray(image.convert("RGB"))
    factor = _base_factor(material)
    if factor is not None and (factor < 0.999).any():
        level = np.arange(256) / 255.0
        light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
        table = np.rint(_to_srgb(light[:, None] * factor) * 255).astype(np.uint8)
        pixels = np.stack([table[pixels[..., channel], channel] for channel in range(3)], axis=-1)
    return Texture(pixels)


def _plain_colour(material: Any) -> NDArray[np.uint8] | None:
    """(4,) uint8 sRGB of a material without a texture, or None for a material that says nothing."""
    factor = _base_factor(material)
    if factor is not None:
        return np.concatenate([np.rint(_to_srgb(factor) * 255), [255]]).astype(np.uint8)
    diffuse = getattr(material, "diffuse", None)
    if diffuse is None or "baseColorFactor" in getattr(material, "__dict__", {}):
        return None
    return np.concatenate([np.asarray(diffuse, dtype=np.uint8)[:3], [255]]).astype(np.uint8)


def _neighbours(path: Path) -> Any:
    """Gives the parser materials and pictures that lie with the mesh or below it, and nothing else."""
    from trimesh.resolvers import FilePathResolver

    class Neighbours(FilePathResolver):
        def get(self, name: str) -> bytes:
            found = self.absolute(name.replace("\\", "/"))
            if found.suffix.lower() not in _ASIDE_SUFFIXES or not found.is_file():
                raise FileNotFoundError(name)
            if found.stat().st_size > _MOST_ASIDE_BYTES:
                raise MeshTooLarge(f"'{found.name}' is larger than {_MOST_ASIDE_BYTES // 2**20} MiB.")
            return found.read_bytes()

        def write(self, name: str, data: str | bytes) -> None:
            raise PermissionError(name)

    return Neighbours(str(path))


def _check_glb(data: bytes) -> None:
    """Rules out counts beyond the file's own size, scene graphs that are not trees, and compressed meshes."""
    damaged = MeshFileUnreadable("The GLB file is damaged, or it is not a GLB file of version 2.")
    if len(data) < 20:
        raise damaged
    magic, version, length, header, kind = struct.unpack("<4sIII4s", data[:20])
    if magic != b"glTF" or version != 2 or kind != b"JSON" or length > len(data) or header > len(data) - 20:
        raise damaged
    try:
        document = json.loads(data[20 : 20 + header])
        required = document.get("extensionsRequired", [])
        accessors = document.get("accessors", [])
        nodes = document.get("nodes", [])
        counts = [int(accessor["count"]) for accessor in accessors]
        sizes = [int(image.get("byteLength", 0)) for image in document.get("bufferViews", [])]
        children = [int(child) for node in nodes for child in node.get("children", [])]
        elsewhere = [str(part["uri"]) for part in document.get("buffers", []) if "uri" in part]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise damaged from error
    for extension in required:
        if extension in _UNSUPPORTED:
            raise MeshFileUnreadable(f"The GLB file uses {_UNSUPPORTED[extension]}, which Kiss3D does not read.")
    if any(not uri.startswith("data:") for uri in elsewhere):
        raise MeshFileUnreadable("The GLB file keeps its data in another file.", "Export it as one GLB file.")
    out_of_range = any(not 0 <= child < len(nodes) for child in children)
    if any(not 0 <= count <= len(data) for count in counts + sizes) or out_of_range:
        raise damaged
    if len(set(children)) != len(children) or _has_cycle([node.get("children", []) for node in nodes]):
        raise damaged


def _has_cycle(children: list[list[int]]) -> bool:
    """Of a graph whose nodes have at most one parent each: what no root leads to goes round in circles."""
    below = {child for some in children for child in some}
    reached = 0
    waiting = [node for node in range(len(children)) if node not in below]
    while waiting:
        reached += 1
        waiting.extend(children[waiting.pop()])
    return reached < len(children)


def _check_ply(data: bytes) -> None:
    """Rules out counts that the file cannot hold."""
    head = data[: 64 * 1024]
    end = head.find(b"end_header")
    if not head.startswith(b"ply") or end < 0:
        raise MeshFileUnreadable("The PLY file is damaged, or it is not a PLY file.")
    for count in re.findall(rb"^element\s+\w+\s+(-?\d+)", head[:end], re.MULTILINE):
        if len(count) > 12 or not 0 <= int(count) <= len(data):
            raise MeshFileUnreadable("The PLY file ends too early: a part of it is missing.")
