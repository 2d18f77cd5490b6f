"""A mesh from a file, as it would be seen in Blender, without anything of it staying there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy

from kiss3d_protocol.errors import MeshEmpty, MeshFileMissing, MeshFileUnreadable

from ..capture.arrays import CapturedMesh
from ..capture.mesh import mesh_from_object
from . import blend_file

_READERS: dict[str, Callable[[str], object]] = {
    ".glb": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    ".gltf": lambda path: bpy.ops.import_scene.gltf(filepath=path),
    ".obj": lambda path: bpy.ops.wm.obj_import(filepath=path),
    ".ply": lambda path: bpy.ops.wm.ply_import(filepath=path),
}


def captured_from_file(path: Path) -> CapturedMesh:
    """All meshes of the file as one. An empty file is open afterwards.

    Raises :class:`MeshFileMissing`, :class:`MeshFileUnreadable`, :class:`MeshEmpty`, or what
    :func:`mesh_from_object` raises.
    """
    if not path.is_file():
        raise MeshFileMissing(f"There is no mesh at '{path}'.")
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise MeshFileUnreadable(f"'{path}' is neither a GLB, an OBJ nor a PLY file.")
    blend_file.begin_empty()
    try:
        read(str(path.absolute()))
        meshes = [thing for thing in bpy.context.scene.objects if thing.type == "MESH"]
        if not meshes:
            raise MeshEmpty(f"There is no mesh in '{path}'.")
        joined = meshes[0]
        if len(meshes) > 1:
            with bpy.context.temp_override(active_object=joined, selected_editable_objects=meshes):
                bpy.ops.object.join()
        joined.name = path.stem
        return mesh_from_object(joined)
    except RuntimeError as error:
        raise MeshFileUnreadable(f"'{path}' could not be read: {error}.") from error
    finally:
        blend_file.begin_empty()
