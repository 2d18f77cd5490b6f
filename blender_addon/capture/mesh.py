"""A mesh from an object of the scene, as it is seen: modifiers, scale and rotation included."""

import bpy
import numpy as np
import numpy.typing as npt

from kiss3d_protocol.errors import MeshFileUnreadable, ParamsInvalid

from .arrays import CapturedMesh, transformed, vertex_colours
from .datablock import texture_from_image
from .picture import Picture


def mesh_from_object(source: bpy.types.Object) -> CapturedMesh:
    """The object's evaluated mesh in triangles, turned and scaled as in the world, around its own origin.

    Its colours are the image at the Base Color of its material with its UVs for rendering, else its vertex colours for
    rendering, else none. Call it from the main thread. Raises :class:`ParamsInvalid` for what is no mesh object of the
    current view layer, :class:`MeshFileUnreadable` when its faces have several textures, or a
    :class:`PictureError` for a texture that cannot be taken.
    """
    if source.type != "MESH":
        raise ParamsInvalid(f"'{source.name}' is not a mesh.", "Choose a mesh object, or convert it to a mesh.")
    if source.mode == "EDIT":
        source.update_from_editmode()
    seen = source.evaluated_get(bpy.context.evaluated_depsgraph_get())
    if not seen.is_evaluated:
        raise ParamsInvalid(
            f"'{source.name}' is hidden, or not in the current view layer.", "Show it in the view layer that is open."
        )
    mesh = seen.to_mesh()
    try:
        return _capture(source.name, seen, mesh)
    finally:
        seen.to_mesh_clear()


def _capture(name: str, seen: bpy.types.Object, mesh: bpy.types.Mesh) -> CapturedMesh:
    mesh.calc_loop_triangles()
    count = len(mesh.loop_triangles)
    if not count:
        return CapturedMesh(name, np.empty((0, 3), np.float32), np.empty((0, 3), np.int32))
    positions = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.attributes["position"].data.foreach_get("vector", positions)
    triangles, corners = np.empty(3 * count, np.int32), np.empty(3 * count, np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles)
    mesh.loop_triangles.foreach_get("loops", corners)
    matrix = np.array(seen.matrix_world.to_3x3(), np.float64)
    placed, triangles, mirrored = transformed(positions.reshape(-1, 3), triangles.reshape(-1, 3), matrix)
    corners = corners.reshape(-1, 3)[:, ::-1] if mirrored else corners.reshape(-1, 3)
    layer = next((layer for layer in mesh.uv_layers if layer.active_render), None)
    texture = _texture(name, seen, mesh) if layer is not None else None
    if layer is None or texture is None:
        return CapturedMesh(name, placed, triangles, colours=_colours(mesh))
    uvs = np.empty(2 * len(mesh.loops), np.float32)
    layer.uv.foreach_get("vector", uvs)
    return CapturedMesh(name, placed, triangles, uvs.reshape(-1, 2), corners, texture=texture)


def _texture(name: str, seen: bpy.types.Object, mesh: bpy.types.Mesh) -> Picture | None:
    """The one image that all faces wear."""
    slots = seen.material_slots
    if not slots:
        return None
    used = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("material_index", used)
    images = [_base_image(slots[index].material) for index in np.unique(np.clip(used, 0, len(slots) - 1)).tolist()]
    if all(image is None for image in images):
        return None
    if any(image != images[0] for image in images):
        raise MeshFileUnreadable(
            f"The faces of '{name}' have several materials with different textures; one texture can be sent.",
            "Bake its colours into one image, or take the textures off.",
        )
    return texture_from_image(images[0])


def _base_image(material: bpy.types.Material | None) -> bpy.types.Image | None:
    # Evaluated copies have no pixels of their own to give.
    tree = material.original.node_tree if material is not None else None
    for node in tree.nodes if tree is not None else ():
        if node.type == "BSDF_PRINCIPLED" and node.inputs["Base Color"].is_linked:
            origin = node.inputs["Base Color"].links[0].from_node
            if origin.type == "TEX_IMAGE":
                return origin.image
    return None


def _colours(mesh: bpy.types.Mesh) -> npt.NDArray[np.uint8] | None:
    index = mesh.color_attributes.render_color_index
    if not 0 <= index < len(mesh.color_attributes):
        return None
    attribute = mesh.color_attributes[index]
    values = np.empty(4 * len(attribute.data), np.float32)
    attribute.data.foreach_get("color_srgb", values)
    owners = None
    if attribute.domain == "CORNER":
        owners = np.empty(len(mesh.loops), np.int32)
        mesh.loops.foreach_get("vertex_index", owners)
    return vertex_colours(values.reshape(-1, 4), owners, len(mesh.vertices))
