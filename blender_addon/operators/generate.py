"""Generate 3D."""

from pathlib import Path

import bpy

from kiss3d_protocol.errors import Kiss3DError
from kiss3d_protocol.messages import new_job_id
from kiss3d_protocol.params import GenerateParams

from .. import blender_session, preferences
from ..capture.datablock import picture_from_image
from ..capture.picture import Picture, picture_from_file
from ..importer.target import Target
from ..job_inputs import JobInputs
from ..waiting import wait_until_settled


def _hindrance(context) -> str:
    settings = context.scene.kiss3d
    if settings.source == "FILE" and not settings.filepath:
        return "Choose a picture file first"
    if settings.source == "IMAGE" and settings.image is None:
        return "Choose an image first"
    connection = blender_session.monitor().connections.get(preferences.get(context).backend_target())
    offer = connection.view.offer(settings.preset) if connection is not None else None
    if offer is not None and not offer.offered:
        return f"The backend cannot run this preset: {offer.reason}"
    return ""


def _picture(settings) -> Picture:
    if settings.source == "IMAGE":
        return picture_from_image(settings.image)
    return picture_from_file(Path(bpy.path.abspath(settings.filepath)))


class KISS3D_OT_generate(bpy.types.Operator):
    """Make a textured object from the picture. It appears at the 3D cursor, first coarse, then finished"""

    bl_idname = "kiss3d.generate"
    bl_label = "Generate 3D"
    bl_options = {"REGISTER"}

    @classmethod
    def poll(cls, context):
        if context.scene is None:
            return False
        hindrance = _hindrance(context)
        if hindrance:
            cls.poll_message_set(hindrance)
        return not hindrance

    def execute(self, context):
        settings = context.scene.kiss3d
        monitor = blender_session.monitor()
        try:
            picture = _picture(settings)
            target = Target.in_scene(new_job_id(), picture.name, settings.size, context.scene, context.collection)
            job = monitor.submit(
                preferences.get(context).backend_target(),
                JobInputs(picture.name, picture),
                GenerateParams(settings.preset, settings.seed),
                target,
            )
            blender_session.show(None)
            blender_session.wake()
            if bpy.app.background:
                # Timers never fire there: the result is waited for.
                wait_until_settled(monitor, job)
        except Kiss3DError as error:
            blender_session.show(error)
            # In a window the panel shows it where the click was; without one the caller must get an exception.
            self.report({"ERROR" if bpy.app.background else "WARNING"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}
