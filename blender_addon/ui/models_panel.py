"""The sub-panel about model files that the chosen preset lacks: which, how large, and getting them."""

import bpy

from kiss3d_protocol.amounts import amount_text

from .. import preferences
from ..operators.models import KISS3D_OT_cancel_download, KISS3D_OT_download_models
from ..preset_titles import title_of
from ..translations import tr
from .main_panel import KISS3D_PT_main
from .text import draw_error, draw_text, duration


class KISS3D_PT_models(bpy.types.Panel):
    bl_label = "Model Files"
    bl_parent_id = KISS3D_PT_main.__name__
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Kiss3D"

    @classmethod
    def poll(cls, context):
        connection = preferences.connection(context)
        if connection is None or context.scene is None:
            return False
        offer = connection.view.offer(context.scene.kiss3d.preset)
        return connection.models.pulling or (offer is not None and bool(offer.missing_models))

    def draw(self, context):
        layout = self.layout
        connection = preferences.connection(context)
        models = connection.models
        preset = context.scene.kiss3d.preset
        offer = connection.view.offer(preset)
        if offer is not None and offer.missing_models:
            sentence = tr(
                "The preset {preset} lacks {size} of model files:",
                preset=tr(title_of(preset)),
                size=amount_text(offer.bytes_to_get),
            )
            draw_text(layout, context, sentence, icon="IMPORT")
            self._draw_list(layout, models.named(offer.missing_models))
        if models.error is not None:
            draw_error(layout, context, models.error)
        if models.pulling:
            self._draw_progress(layout, models.progress)
            layout.operator(KISS3D_OT_cancel_download.bl_idname, icon="X")
        else:
            layout.operator(KISS3D_OT_download_models.bl_idname, icon="IMPORT")

    def _draw_list(self, layout, models):
        column = layout.column(align=True)
        for model in models:
            row = column.row()
            row.label(text=model.title, icon="LOCKED" if model.gated else "DOT", translate=False)
            size = row.row()
            size.alignment = "RIGHT"
            size.label(text=amount_text(model.size - model.have), translate=False)

    def _draw_progress(self, layout, progress):
        if progress is None:
            layout.progress(factor=0.0, text="Starting")
            return
        fraction = progress.bytes / progress.total if progress.total else 0.0
        text = f"{fraction:.0%}, {amount_text(progress.bytes_per_second)}/s"
        if progress.eta_seconds is not None:
            text += ", " + tr("about {time} left", time=duration(progress.eta_seconds))
        layout.progress(factor=fraction, text=text, translate=False)
        layout.label(text=f"{progress.entry}: {progress.file}", translate=False)
