"""The sub-panel with the list of jobs, and what there is to say of the selected one."""

import bpy

from .. import blender_session
from ..job import Job
from ..job_list import selected
from ..job_state import Phase
from ..link_state import Link
from ..operators.jobs import KISS3D_OT_cancel, KISS3D_OT_dismiss
from ..translations import tr
from .job_details import draw_details
from .main_panel import KISS3D_PT_main
from .text import duration

ICONS = {
    Phase.SUBMITTED: "EXPORT",
    Phase.QUEUED: "SORTTIME",
    Phase.RUNNING: "PLAY",
    Phase.FINISHED: "CHECKMARK",
    Phase.FAILED: "ERROR",
    Phase.CANCELLED: "CANCEL",
}


class KISS3D_UL_jobs(bpy.types.UIList):
    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        job = blender_session.monitor().jobs.get(item.job)
        if job is None:
            return  # It has just been taken away; the next tick does the same with the row.
        state = job.state
        split = layout.split(factor=0.42)
        split.label(text=state.name, icon=ICONS[state.phase], translate=False)
        row = split.row(align=True)
        if state.phase is Phase.RUNNING and not state.cancel_requested and not state.choosing:
            row.progress(factor=state.fraction, text=f"{state.fraction:.0%}", translate=False)
        else:
            row.label(text=status(job), translate=False)
        end = row.row(align=True)
        if job.settled:
            end.operator(KISS3D_OT_dismiss.bl_idname, text="", icon="X", emboss=False).job = job.id
        else:
            end.enabled = not state.cancel_requested
            end.operator(KISS3D_OT_cancel.bl_idname, text="", icon="X", emboss=False).job = job.id

    def filter_items(self, context, data, property):
        """The filter field looks for names, which the rows themselves do not have."""
        rows = getattr(data, property)
        sought = self.filter_name.lower()
        if not sought:
            return [], []
        jobs = blender_session.monitor().jobs
        names = [jobs[row.job].state.name.lower() if row.job in jobs else "" for row in rows]
        return [self.bitflag_filter_item if sought in name else 0 for name in names], []


class KISS3D_PT_jobs(bpy.types.Panel):
    bl_label = "Jobs"
    bl_parent_id = KISS3D_PT_main.__name__
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Kiss3D"

    def draw(self, context):
        layout = self.layout
        monitor = blender_session.monitor()
        manager = context.window_manager
        if not monitor.jobs:
            layout.label(text="Nothing has been made yet", icon="INFO")
            return
        layout.template_list(
            KISS3D_UL_jobs.__name__,
            "",
            manager,
            "kiss3d_jobs",
            manager,
            "kiss3d_job_index",
            rows=min(max(len(monitor.jobs), 2), 5),
        )
        job = selected(context, monitor)
        if job is not None:
            draw_details(layout, context, job, status(job), monitor.now())


def status(job: Job) -> str:
    """How a job stands, in a few words."""
    state = job.state
    if state.phase is Phase.FINISHED:
        return duration(state.report.seconds) if job.settled else tr("ready")
    if state.phase is Phase.FAILED:
        return tr("failed")
    if state.phase is Phase.CANCELLED:
        return tr("cancelled")
    if state.cancel_requested:
        return tr("stopping")
    if job.connection.view.link is not Link.CONNECTED:
        return tr("waits for the backend")
    if state.phase is Phase.QUEUED:
        return tr("next in line") if state.position == 0 else tr("{number} before it", number=state.position)
    if state.phase is Phase.RUNNING:
        if state.choosing:
            return tr("choose a bundle")
        return {"coarse": tr("coarse mesh"), "refined": tr("refining")}.get(state.quality or "", tr("running"))
    return tr("sent")
