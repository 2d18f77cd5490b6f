"""What there is to say of one job: time, stages, pictures, bundles, warnings, errors, and what can be done with it."""

from ..job import Job
from ..job_state import JobState, Phase, StageLine
from ..operators.jobs import (
    KISS3D_OT_cancel,
    KISS3D_OT_place_here,
    KISS3D_OT_select,
    KISS3D_OT_show_report,
)
from ..operators.models import KISS3D_OT_use_preset
from ..operators.variations import (
    KISS3D_OT_choose_bundle,
    KISS3D_OT_from_here,
    KISS3D_OT_new_variation,
    KISS3D_OT_retry,
)
from ..preset_titles import title_of
from ..translations import tr
from ..translations.errors import in_language
from .text import draw_error, draw_text, duration
from .thumbnails import icon_of

TOO_LARGE = ("backend.memory_too_small", "job.out_of_memory")
"""The codes of errors that a lighter preset would not have had."""


def draw_details(layout, context, job: Job, status: str, now: float):
    """``now`` is a time of the monitor's clock."""
    state = job.state
    box = layout.box()
    if not job.settled:
        _draw_running(box, context, job, status, now)
    if state.error is not None and state.phase is Phase.FAILED:
        _draw_failure(box, context, job)
    if job.hindrance and not job.settled:
        draw_text(box, context, in_language(job.hindrance), icon="INFO")
        if job.target.scene() is None:
            box.operator(KISS3D_OT_place_here.bl_idname, icon="IMPORT").job = job.id
    if state.choosing:
        _draw_choice(box, context, job)
    _draw_stages(box, state)
    for warning in state.warnings:
        draw_text(box, context, f"{in_language(warning.message)} {in_language(warning.remedy)}".strip(), icon="ERROR")
    if job.settled:
        _draw_afterwards(box, job)
    if state.previews and not state.choosing:
        _draw_pictures(layout, context, job)


def _draw_running(layout, context, job: Job, status: str, now: float):
    state = job.state
    parts = [status]
    if job.began is not None:
        parts.append(tr("{time} so far", time=duration(job.elapsed(now))))
    if state.eta_seconds is not None and not state.cancel_requested:
        parts.append(tr("about {time} left", time=duration(state.eta_seconds)))
    sentence = ", ".join(parts)
    draw_text(layout, context, sentence[:1].upper() + sentence[1:])
    row = layout.row()
    row.enabled = not state.cancel_requested
    text = "Discard" if state.ended else "Cancel"
    row.operator(KISS3D_OT_cancel.bl_idname, text=text, icon="X").job = job.id


def _draw_failure(layout, context, job: Job):
    error = job.state.error
    draw_error(layout, context, error)
    lighter = job.connection.view.lighter_than(job.params.preset)
    if error.code in TOO_LARGE and lighter is not None and lighter.name != context.scene.kiss3d.preset:
        text = tr("Use the Preset {preset}", preset=tr(title_of(lighter.name)))
        layout.operator(KISS3D_OT_use_preset.bl_idname, text=text, translate=False).preset = lighter.name


def _draw_stages(layout, state: JobState):
    column = layout.column(align=True)
    for line in state.stages:
        stopped = line is state.stages[-1] and state.phase in (Phase.FAILED, Phase.CANCELLED)
        _draw_stage(column, line, state, "X" if stopped else "CHECKMARK")


def _draw_stage(layout, line: StageLine, state: JobState, ended_icon: str):
    title = tr(line.title)
    if line.done:
        row = layout.row(align=True)
        row.label(text=title, icon=ended_icon, translate=False)
        time = row.row()
        time.alignment = "RIGHT"
        time.label(text=duration(line.seconds), translate=False)
    elif state.phase is Phase.RUNNING:
        layout.progress(factor=line.fraction, text=f"{title}  {line.fraction:.0%}", translate=False)
    else:
        layout.label(text=title, icon="BLANK1", translate=False)


def _draw_choice(layout, context, job: Job):
    draw_text(layout, context, tr("Choose the bundle that the object is made of."), icon="QUESTION")
    grid = layout.grid_flow(row_major=True, columns=2, even_columns=True, even_rows=True)
    for index, bundle in enumerate(job.state.bundles):
        cell = grid.column(align=True)
        cell.template_icon(icon_value=icon_of(job, bundle.picture), scale=5.5)
        use = cell.operator(
            KISS3D_OT_choose_bundle.bl_idname, text=tr("Use This (Seed {seed})", seed=bundle.seed), translate=False
        )
        use.job, use.bundle = job.id, index


def _draw_pictures(layout, context, job: Job):
    header, body = layout.panel("KISS3D_pictures", default_closed=False)
    header.label(text="Pictures")
    if body is None:
        return
    grid = body.grid_flow(row_major=True, columns=2, even_columns=True, even_rows=True)
    for _stage, picture in job.state.previews:
        cell = grid.column(align=True)
        cell.template_icon(icon_value=icon_of(job, picture), scale=5.5)
        cell.label(text=tr(picture.title), translate=False)
    said = [picture.text for _, picture in job.state.previews if picture.text]
    if said:
        # The newest words: a caption is followed by the prompt that was made of it.
        draw_text(body, context, said[-1], icon="TEXT")


def _draw_afterwards(layout, job: Job):
    state = job.state
    if state.phase is Phase.FINISHED:
        column = layout.column(align=True)
        if job.params.preset != "draft":
            column.operator(KISS3D_OT_from_here.bl_idname, icon="FORWARD").job = job.id
        row = column.row(align=True)
        row.operator(KISS3D_OT_new_variation.bl_idname, icon="FILE_REFRESH").job = job.id
        row.operator(KISS3D_OT_select.bl_idname, text="", icon="RESTRICT_SELECT_OFF").job = job.id
        row.operator(KISS3D_OT_show_report.bl_idname, text="", icon="TEXT").job = job.id
    else:
        row = layout.row(align=True)
        row.operator(KISS3D_OT_retry.bl_idname, icon="FILE_REFRESH").job = job.id
        row.operator(KISS3D_OT_show_report.bl_idname, text="", icon="TEXT").job = job.id
