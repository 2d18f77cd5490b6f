"""The sub-panel about the result: where it comes, how fine it is, what is made of it."""

import bpy

from .main_panel import KISS3D_PT_main


class KISS3D_PT_result(bpy.types.Panel):
    bl_label = "Result"
    bl_parent_id = KISS3D_PT_main.__name__
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Kiss3D"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = context.scene.kiss3d
        result = settings.result
        layout.prop(result, "mesh_place" if settings.source == "MESH" else "place")
        size = layout.row()
        size.active = settings.source != "MESH"
        size.prop(settings, "size")
        faces = layout.row(heading="Limit Faces")
        faces.prop(result, "use_faces", text="")
        number = faces.row()
        number.active = result.use_faces
        number.prop(result, "faces", text="")
        layout.prop(result, "texture_size")
        layout.prop(result, "lods")
        layout.prop(result, "mark_asset")
        if result.mark_asset:
            layout.prop(result, "tags")
