"""The rows of the job list, as Blender's list widget wants them: kept with the window manager, made anew from the jobs.

They hold ids only; what is shown of a job comes from the monitor. They are no part of the scene, nor of its undo.
"""

import bpy

from .job import Job
from .job_monitor import JobMonitor


class Kiss3DJobItem(bpy.types.PropertyGroup):
    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})


def selected(context, monitor: JobMonitor) -> Job | None:
    """The job of the selected row, None when there is none."""
    manager = context.window_manager
    rows, index = manager.kiss3d_jobs, manager.kiss3d_job_index
    return monitor.jobs.get(rows[index].job) if 0 <= index < len(rows) else None


def sync(manager: bpy.types.WindowManager, monitor: JobMonitor) -> None:
    """Makes the rows those of the monitor's jobs, the newest on top; a job that is new becomes the selected one."""
    wanted = list(reversed(monitor.jobs))
    rows = manager.kiss3d_jobs
    shown = [row.job for row in rows]
    if shown == wanted:
        return
    index = manager.kiss3d_job_index
    chosen = shown[index] if 0 <= index < len(shown) else None
    rows.clear()
    for job in wanted:
        rows.add().job = job
    if wanted and (wanted[0] not in shown or chosen not in wanted):
        chosen = wanted[0]
    manager.kiss3d_job_index = wanted.index(chosen) if chosen in wanted else 0


def register():
    bpy.types.WindowManager.kiss3d_jobs = bpy.props.CollectionProperty(type=Kiss3DJobItem, options={"SKIP_SAVE"})
    bpy.types.WindowManager.kiss3d_job_index = bpy.props.IntProperty(
        name="Job", description="The job whose details are shown", options={"SKIP_SAVE"}
    )


def unregister():
    del bpy.types.WindowManager.kiss3d_job_index
    del bpy.types.WindowManager.kiss3d_jobs
