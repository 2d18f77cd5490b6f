"""The sub-panel with the jobs: a progress line for each stage, warnings, errors."""

import bpy

from .. import blender_session
from ..job import Job
from ..job_state import JobState, Phase, StageLine
from ..link_state import Link
from ..operators.jobs import (
    KISS3D_OT_cancel,
    KISS3D_OT_dismiss,
    KISS3D_OT_place_here,
    KISS3D_OT_select,
    KISS3D_OT_show_report,
)
from .main_panel import KISS3D_PT_main
from .text import draw_error, draw_text, duration

_ICONS = {
    Phase.SUBMITTED: "EXPORT",
    Phase.QUEUED: "SORTTIME",
    Phase.RUNNING: "PLAY",
    Phase.FINISHED: "CHECKMARK",
    Phase.FAILED: "ERROR",
    Phase.CANCELLED: "CANCEL",
}


class KISS3D_PT_jobs(bpy.types.Panel):
    bl_label = "Jobs"
    bl_parent_id = KISS3D_PT_main.__name__
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Kiss3D"

    @classmethod
    def poll(cls, context):
        return bool(blender_session.monitor().jobs)

    def draw(self, context):
        # The newest stands on top.
        for job in reversed(list(blender_session.monitor().jobs.values())):
            _draw_job(self.layout.box(), context, job)


def _draw_job(layout, context, job: Job):
    state = job.state
    header = layout.row(align=True)
    header.label(text=f"{state.name}: {_status(job)}", icon=_ICONS[state.phase])
    if job.settled:
        if state.phase is Phase.FINISHED:
            header.operator(KISS3D_OT_select.bl_idname, text="", icon="RESTRICT_SELECT_OFF").job = job.id
        header.operator(KISS3D_OT_show_report.bl_idname, text="", icon="TEXT").job = job.id
        header.operator(KISS3D_OT_dismiss.bl_idname, text="", icon="X").job = job.id
    else:
        _draw_progress(layout, job)
    stages = layout.column(align=True)
    for line in state.stages:
        _draw_stage(stages, line, state)
    for warning in state.warnings:
        draw_text(layout, context, f"{warning.message} {warning.remedy}".strip(), icon="ERROR")
    if state.error is not None and state.phase is Phase.FAILED:
        draw_error(layout, context, state.error)
    if job.hindrance and not job.settled:
        draw_text(layout, context, job.hindrance, icon="INFO")
        if job.target.scene() is None:
            layout.operator(KISS3D_OT_place_here.bl_idname, icon="IMPORT").job = job.id


def _draw_progress(layout, job: Job):
    state = job.state
    split = layout.split(factor=0.7)
    if state.phase is Phase.RUNNING:
        split.progress(factor=state.fraction, text=_whole(state))
    else:
        split.label(text="")
    button = split.row()
    button.enabled = not state.cancel_requested
    text = "Discard" if state.ended else "Cancel"
    button.operator(KISS3D_OT_cancel.bl_idname, text=text).job = job.id


def _draw_stage(layout, line: StageLine, state: JobState):
    if line.done:
        row = layout.row(align=True)
        row.label(text=line.title, icon="CHECKMARK")
        time = row.row()
        time.alignment = "RIGHT"
        time.label(text=duration(line.seconds))
    elif state.phase is Phase.RUNNING:
        layout.progress(factor=line.fraction, text=f"{line.title}  {line.fraction:.0%}")
    else:
        layout.label(text=line.title, icon="BLANK1")


def _status(job: Job) -> str:
    state = job.state
    if state.ended:
        if state.phase is Phase.FINISHED:
            return f"finished in {duration(state.report.seconds)}" if job.settled else "ready"
        return state.phase.value
    if state.cancel_requested:
        return "stopping"
    if job.connection.view.link is not Link.CONNECTED:
        return "waits for the backend"
    if state.phase is Phase.QUEUED:
        return "next in line" if state.position == 0 else f"{state.position} before it"
    if state.phase is Phase.RUNNING:
        return "coarse mesh" if state.quality == "coarse" else "running"
    return "sent"


def _whole(state: JobState) -> str:
    whole = f"{state.fraction:.0%}"
    return whole if state.eta_seconds is None else f"{whole}, about {duration(state.eta_seconds)} left"
