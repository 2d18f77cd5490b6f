"""The panel with the picture, the settings and the button."""

import bpy

from .. import blender_session, preferences
from ..operators.connection import KISS3D_OT_dismiss_notice
from ..operators.generate import KISS3D_OT_generate
from ..operators.models import KISS3D_OT_use_preset
from ..preset_titles import title_of
from ..sources import SOURCES
from ..translations import tr
from ..translations.errors import in_language
from .source_inputs import draw_source
from .text import draw_error, draw_text


class KISS3D_PT_main(bpy.types.Panel):
    bl_label = "Kiss3D"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Kiss3D"

    def draw(self, context):
        layout = self.layout
        settings = context.scene.kiss3d
        layout.use_property_split = True
        layout.use_property_decorate = False

        draw_source(layout, context, settings)
        layout.prop(settings, "preset")
        _draw_offer(layout, context, settings.preset)
        column = layout.column(align=True)
        column.prop(settings, "seed")
        if settings.preset != "draft" and SOURCES[settings.source].takes_prompt:
            column.prop(settings, "bundles")

        button = layout.row()
        button.scale_y = 1.6
        button.operator(KISS3D_OT_generate.bl_idname, icon="MESH_MONKEY")

        notice = blender_session.notice
        if notice is not None:
            box = layout.box()
            draw_error(box, context, notice)
            box.operator(KISS3D_OT_dismiss_notice.bl_idname, icon="X")


def _draw_offer(layout, context, preset):
    connection = preferences.connection(context)
    offer = connection.view.offer(preset) if connection is not None else None
    if offer is not None and not offer.offered and not offer.missing_models:
        draw_text(layout, context, in_language(offer.reason), icon="ERROR")
        lighter = connection.view.lighter_than(preset)
        if lighter is not None:
            text = tr("Use the Preset {preset}", preset=tr(title_of(lighter.name)))
            layout.operator(KISS3D_OT_use_preset.bl_idname, text=text, translate=False).preset = lighter.name
