"""Arrays to a Blender mesh, without a loop over elements."""

import bpy
import numpy as np

from .arrays import MeshArrays

UV_LAYER = "UVMap"
COLOUR_ATTRIBUTE = "Colour"


def build_mesh(arrays: MeshArrays, name: str) -> bpy.types.Mesh:
    """A new mesh, smoothly shaded. It is not validated: :func:`read_mesh` has checked what Blender relies on."""
    mesh = bpy.data.meshes.new(name)
    try:
        _fill(mesh, arrays)
    except BaseException:
        bpy.data.meshes.remove(mesh)
        raise
    return mesh


def refill_mesh(mesh: bpy.types.Mesh, arrays: MeshArrays) -> None:
    """Gives a mesh other geometry; its name, its materials and all that uses it stay."""
    mesh.clear_geometry()
    _fill(mesh, arrays)


def _fill(mesh: bpy.types.Mesh, arrays: MeshArrays) -> None:
    # Attributes take a whole buffer at once; vertices["co"] and loops["vertex_index"] go element by element (100 ms for
    # 200k vertices). Blender names the corners' attribute ".corner_vert" in all versions from 4.0.
    faces = arrays.triangle_count
    mesh.vertices.add(len(arrays.positions))
    mesh.attributes["position"].data.foreach_set("vector", arrays.positions.reshape(-1))
    mesh.loops.add(3 * faces)
    mesh.attributes[".corner_vert"].data.foreach_set("value", arrays.corners)
    mesh.polygons.add(faces)
    mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * faces, 3, dtype=np.int32))
    if arrays.corner_uvs is not None:
        layer = mesh.uv_layers.new(name=UV_LAYER, do_init=False)
        layer.uv.foreach_set("vector", arrays.corner_uvs.reshape(-1))
    if arrays.colours is not None:
        attribute = mesh.color_attributes.new(COLOUR_ATTRIBUTE, "BYTE_COLOR", "POINT")
        attribute.data.foreach_set("color_srgb", (arrays.colours.astype(np.float32) / 255).reshape(-1))
    if arrays.edges is not None:
        mesh.edges.add(len(arrays.edges.vertices))
        mesh.attributes[".edge_verts"].data.foreach_set("value", arrays.edges.vertices.reshape(-1))
        mesh.attributes[".corner_edge"].data.foreach_set("value", arrays.edges.of_corners)
    mesh.update(calc_edges=arrays.edges is None)
    mesh.shade_smooth()
