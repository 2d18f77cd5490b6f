"""Entries in Blender's own menus."""

import bpy

from ..operators.again import KISS3D_OT_generate_again
from ..operators.generate import (
    KISS3D_OT_enhance,
    KISS3D_OT_generate_from_camera,
    KISS3D_OT_generate_from_files,
    KISS3D_OT_generate_from_image,
    KISS3D_OT_generate_from_viewport,
)


def _in_object_menu(self, context):
    layout = self.layout
    layout.separator()
    layout.operator(KISS3D_OT_enhance.bl_idname, icon="MESH_MONKEY")
    layout.operator(KISS3D_OT_generate_again.bl_idname)
    layout.operator(KISS3D_OT_generate_from_viewport.bl_idname)
    layout.operator(KISS3D_OT_generate_from_camera.bl_idname)


def _in_image_menu(self, context):
    self.layout.separator()
    self.layout.operator(KISS3D_OT_generate_from_image.bl_idname, icon="MESH_MONKEY")


def _in_import_menu(self, context):
    self.layout.operator(KISS3D_OT_generate_from_files.bl_idname, text="Pictures as 3D Objects (Kiss3D)")


_ENTRIES = (
    ("VIEW3D_MT_object_context_menu", _in_object_menu),
    ("IMAGE_MT_image", _in_image_menu),
    ("TOPBAR_MT_file_import", _in_import_menu),
)


def register():
    for menu, draw in _ENTRIES:
        getattr(bpy.types, menu).append(draw)


def unregister():
    for menu, draw in reversed(_ENTRIES):
        getattr(bpy.types, menu).remove(draw)
