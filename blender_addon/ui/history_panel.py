"""The sub-panel with what was made before: in this scene, and by the backend."""

from __future__ import annotations

import time

import bpy

from .. import preferences
from ..operators.again import KISS3D_OT_generate_again
from ..operators.bring_back import KISS3D_OT_bring_back, KISS3D_OT_delete_job, KISS3D_OT_list_jobs
from ..translations import tr
from .main_panel import KISS3D_PT_main

SHOWN_JOBS = 12
_ICONS = {"finished": "CHECKMARK", "queued": "SORTTIME", "running": "PLAY"}


class KISS3D_UL_history(bpy.types.UIList):
    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        split = layout.split(factor=0.55)
        split.label(text=item.name, translate=False)
        row = split.row(align=True)
        row.label(text=item.made, translate=False)
        row.operator(KISS3D_OT_bring_back.bl_idname, text="", icon="IMPORT", emboss=False).job = item.job


class KISS3D_PT_history(bpy.types.Panel):
    bl_label = "History"
    bl_parent_id = KISS3D_PT_main.__name__
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Kiss3D"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context):
        layout = self.layout
        settings = context.scene.kiss3d
        layout.label(text="In This Scene")
        if settings.history:
            rows = (settings, "history", settings, "history_index")
            layout.template_list(KISS3D_UL_history.__name__, "", *rows, rows=3, sort_reverse=True)
        again = layout.row(align=True)
        again.operator(KISS3D_OT_generate_again.bl_idname)
        again.operator(KISS3D_OT_generate_again.bl_idname, text="", icon="FILE_REFRESH").variation = True
        header = layout.row()
        header.label(text="On the Backend")
        header.operator(KISS3D_OT_list_jobs.bl_idname, icon="FILE_REFRESH")
        connection = preferences.connection(context)
        column = layout.column(align=True)
        there = [job for job in connection.jobs_there if job.state in _ICONS] if connection is not None else []
        for job in there[:SHOWN_JOBS]:
            row = column.row(align=True)
            row.label(text=job.name, icon=_ICONS[job.state], translate=False)
            row.label(text=_day(job.created), translate=False)
            row.operator(KISS3D_OT_bring_back.bl_idname, text="", icon="IMPORT", emboss=False).job = job.job
            row.operator(KISS3D_OT_delete_job.bl_idname, text="", icon="TRASH", emboss=False).job = job.job
        if len(there) > SHOWN_JOBS:
            column.label(text=tr("and {number} older ones", number=len(there) - SHOWN_JOBS), translate=False)


def _day(created: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(created))
