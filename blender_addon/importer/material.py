"""The material of a result: a Principled BSDF with the texture, or with the vertex colours while there is none."""

import bpy

from .mesh import COLOUR_ATTRIBUTE

ROUGHNESS = 0.8


def build_image(data: bytes, name: str) -> bpy.types.Image:
    """A new packed sRGB image from an encoded picture. Blender decodes it when it is first looked at."""
    image = bpy.data.images.new(name, 1, 1)
    image.pack(data=data, data_len=len(data))
    image.source = "FILE"
    image.colorspace_settings.name = "sRGB"
    image.alpha_mode = "NONE"
    return image


def build_material(image: bpy.types.Image | None, has_colours: bool, name: str) -> bpy.types.Material:
    """A new material. Its viewport colour is a neutral grey; its base colour is ``image``, else the vertex colours."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:  # always there from Blender 5.0
        material.use_nodes = True
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Roughness"].default_value = ROUGHNESS
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


def image_of(material: bpy.types.Material | None) -> bpy.types.Image | None:
    """The image that :func:`build_material` put in, if it still has one."""
    if material is None or material.node_tree is None:
        return None
    return next((node.image for node in material.node_tree.nodes if node.type == "TEX_IMAGE" and node.image), None)
