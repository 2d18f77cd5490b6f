"""The material of a result: a Principled BSDF with the texture, or with the vertex colours while there is none; and its
normal map, when there is one."""

import bpy

from .mesh import COLOUR_ATTRIBUTE, UV_LAYER

ROUGHNESS = 0.8


def build_image(data: bytes, name: str, *, is_colour: bool = True) -> bpy.types.Image:
    """A new packed image from an encoded picture, sRGB or, where it holds no colours, as it is.

    Blender decodes it when it is first looked at.
    """
    image = bpy.data.images.new(name, 1, 1)
    image.pack(data=data, data_len=len(data))
    image.source = "FILE"
    image.colorspace_settings.name = "sRGB" if is_colour else "Non-Color"
    image.alpha_mode = "NONE"
    return image


def build_material(
    image: bpy.types.Image | None, normals: bpy.types.Image | None, has_colours: bool, name: str
) -> bpy.types.Material:
    """A new material. Its viewport colour is a neutral grey; its base colour is ``image``, else the vertex colours;
    ``normals`` is its normal map in tangent space, green up, as Blender has it."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:  # always there from Blender 5.0
        material.use_nodes = True
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value = ROUGHNESS
    if normals is not None:
        _link_normals(tree, shader, normals)
    if image is not None:
        source = tree.nodes.new("ShaderNodeTexImage")
        source.image = image
    elif has_colours:
        source = tree.nodes.new("ShaderNodeVertexColor")
        source.layer_name = COLOUR_ATTRIBUTE
    else:
        return material
    source.location = (shader.location.x - 320, shader.location.y)
    tree.links.new(source.outputs["Color"], shader.inputs["Base Color"])
    tree.nodes.active = source
    return material


def image_of(material: bpy.types.Material | None, *, is_colour: bool = True) -> bpy.types.Image | None:
    """The texture, or the normal map, that :func:`build_material` put in, if the material still has it."""
    if material is None or material.node_tree is None:
        return None
    images = (node.image for node in material.node_tree.nodes if node.type == "TEX_IMAGE" and node.image)
    return next((image for image in images if image.colorspace_settings.is_data != is_colour), None)


def _link_normals(tree: bpy.types.NodeTree, shader: bpy.types.Node, normals: bpy.types.Image) -> None:
    source = tree.nodes.new("ShaderNodeTexImage")
    source.image = normals
    source.location = (shader.location.x - 520, shader.location.y - 320)
    turned = tree.nodes.new("ShaderNodeNormalMap")
    turned.space = "TANGENT"
    turned.uv_map = UV_LAYER
    turned.location = (shader.location.x - 220, shader.location.y - 320)
    tree.links.new(source.outputs["Color"], turned.inputs["Color"])
    tree.links.new(turned.outputs["Normal"], shader.inputs["Normal"])
