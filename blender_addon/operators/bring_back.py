"""Bringing results back: from this .blend, or from the backend that made them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import bpy

from kiss3d_protocol.errors import ParamsInvalid
from kiss3d_protocol.messages import is_job_id

from .. import blender_session, preferences
from ..importer import place
from ..importer.recipe import params_of, recipe_of_summary
from ..importer.target import Target
from ..translations import tr
from ..waiting import wait_until_settled
from . import submitting
from .attempt import attempt, report_for_callers
from .connected import connected


class KISS3D_OT_bring_back(bpy.types.Operator):
    """Put this result into the scene once more. What this file has lost comes from the backend, if that still has it"""

    bl_idname = "kiss3d.bring_back"
    bl_label = "Bring Back"

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        running = blender_session.monitor().jobs.get(self.job)
        if running is not None and not running.settled:
            self.report({"WARNING"}, tr("This job is in the list of jobs, and will come by itself"))
            return {"CANCELLED"}
        return attempt(self, lambda: self._bring_back(context), report=report_for_callers())

    def _bring_back(self, context) -> None:
        monitor = blender_session.monitor()
        name, recipe = self._known(context)
        size = float(recipe.get("size", context.scene.kiss3d.size))
        location = submitting.chosen_place(context)
        target = Target.in_scene(self.job, name, size, context.scene, context.collection, location)
        if place.bring_back(target, recipe) is None:
            backend = preferences.get(context).backend_target()
            job = monitor.follow(backend, target, params_of(recipe), recipe)
            if bpy.app.background:
                wait_until_settled(monitor, job)

    def _known(self, context) -> tuple[str, dict[str, Any]]:
        """Name and recipe of the job, as the scene's history or the backend's list has them."""
        if not is_job_id(self.job):
            raise ParamsInvalid(f"'{self.job}' is not the identity of a job.", "Choose one in the history.")
        entry = next((one for one in context.scene.kiss3d.history if one.job == self.job), None)
        if entry is not None:
            with contextlib.suppress(ValueError):  # whoever changed it gets what the backend knows
                return entry.name, json.loads(entry.recipe)
        connection = preferences.connection(context)
        there = connection.jobs_there if connection is not None else ()
        summary = next((one for one in there if one.job == self.job), None)
        return ("Kiss3D", {"job": self.job}) if summary is None else (summary.name, recipe_of_summary(summary))


class KISS3D_OT_list_jobs(bpy.types.Operator):
    """Ask the backend for its newest jobs, those of other sessions and other files too"""

    bl_idname = "kiss3d.list_jobs"
    bl_label = "Refresh"

    @classmethod
    def poll(cls, context):
        return connected(cls, context) is not None

    def execute(self, context):
        preferences.connection(context).list_jobs()
        blender_session.wake()
        return {"FINISHED"}


class KISS3D_OT_delete_job(bpy.types.Operator):
    """Delete this job and its results at the backend, for good. What stands in a scene stays there"""

    bl_idname = "kiss3d.delete_job"
    bl_label = "Delete at the Backend"

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        return connected(cls, context) is not None

    def invoke(self, context, event):
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context):
        if not is_job_id(self.job):
            self.report({"WARNING"}, tr("This job is not in the list any more"))
            return {"CANCELLED"}
        preferences.connection(context).delete(self.job)
        blender_session.wake()
        return {"FINISHED"}


CLASSES = (KISS3D_OT_bring_back, KISS3D_OT_list_jobs, KISS3D_OT_delete_job)
