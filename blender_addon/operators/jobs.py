"""What can be done with a job in the list."""

import bpy

from .. import blender_session, report_page
from ..importer import place
from ..job import Job


class JobOperator:
    """An operator with the id of the job that it is about."""

    job: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def find(self) -> Job | None:
        found = blender_session.monitor().jobs.get(self.job)
        if found is None:
            self.report({"WARNING"}, "This job is not in the list any more")
        return found


class KISS3D_OT_cancel(JobOperator, bpy.types.Operator):
    """Stop this job. What it has put into the scene is taken out again"""

    bl_idname = "kiss3d.cancel"
    bl_label = "Cancel"

    def execute(self, context):
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        blender_session.monitor().cancel(job)
        blender_session.wake()
        return {"FINISHED"}


class KISS3D_OT_dismiss(JobOperator, bpy.types.Operator):
    """Take this job out of the list. Its object stays in the scene"""

    bl_idname = "kiss3d.dismiss"
    bl_label = "Dismiss"

    def execute(self, context):
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        blender_session.monitor().dismiss(job)
        blender_session.redraw()
        return {"FINISHED"}


class KISS3D_OT_select(JobOperator, bpy.types.Operator):
    """Select the object that this job made"""

    bl_idname = "kiss3d.select"
    bl_label = "Select Object"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context):
        if context.mode != "OBJECT":
            cls.poll_message_set("Go back to Object Mode first")
            return False
        return True

    def execute(self, context):
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        if not place.select(job.target):
            self.report({"WARNING"}, "The object is not in the scene any more")
            return {"CANCELLED"}
        return {"FINISHED"}


class KISS3D_OT_show_report(JobOperator, bpy.types.Operator):
    """Show in the browser what this job did, how long each step took, and what would make the next one faster"""

    bl_idname = "kiss3d.show_report"
    bl_label = "Show Report"

    def execute(self, context):
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        id = job.id
        if not blender_session.monitor().ask_report(job, lambda answer: report_page.show(id, answer)):
            self.report({"WARNING"}, "The backend of this job is not connected")
            return {"CANCELLED"}
        blender_session.wake()
        return {"FINISHED"}


class KISS3D_OT_place_here(JobOperator, bpy.types.Operator):
    """Put the result into this scene, as the scene that it was made for is not open"""

    bl_idname = "kiss3d.place_here"
    bl_label = "Place in This Scene"

    def execute(self, context):
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        job.target.move_to(context.scene, context.collection)
        blender_session.wake()
        return {"FINISHED"}
