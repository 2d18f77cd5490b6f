"""Getting the backend's model files."""

import bpy

from .. import blender_session, preferences
from ..connection import LocalTarget
from ..translations import tr
from .connected import connected


class KISS3D_OT_download_models(bpy.types.Operator):
    """Let the backend download the model files that the chosen preset lacks. Blender stays free meanwhile"""

    bl_idname = "kiss3d.download_models"
    bl_label = "Download"

    @classmethod
    def poll(cls, context):
        connection = connected(cls, context)
        if connection is None:
            return False
        if isinstance(connection.target, LocalTarget) and not bpy.app.online_access:
            cls.poll_message_set(tr("Turn on 'Allow Online Access' in Preferences > System first"))
            return False
        if connection.models.pulling:
            cls.poll_message_set(tr("A download runs already"))
            return False
        return True

    def execute(self, context):
        if not preferences.connection(context).pull_models(context.scene.kiss3d.preset):
            return {"CANCELLED"}
        blender_session.wake()
        return {"FINISHED"}


class KISS3D_OT_cancel_download(bpy.types.Operator):
    """Stop the download. What has come stays, and the next one goes on from there"""

    bl_idname = "kiss3d.cancel_download"
    bl_label = "Stop Download"

    @classmethod
    def poll(cls, context):
        connection = preferences.connection(context)
        return connection is not None and connection.models.pulling

    def execute(self, context):
        preferences.connection(context).cancel_pull()
        blender_session.wake()
        return {"FINISHED"}


class KISS3D_OT_use_preset(bpy.types.Operator):
    """Choose this preset, which the backend can run"""

    bl_idname = "kiss3d.use_preset"
    bl_label = "Use This Preset"
    bl_options = {"INTERNAL", "UNDO"}

    preset: bpy.props.StringProperty(options={"HIDDEN", "SKIP_SAVE"})

    def execute(self, context):
        context.scene.kiss3d.preset = self.preset
        return {"FINISHED"}


CLASSES = (KISS3D_OT_download_models, KISS3D_OT_cancel_download, KISS3D_OT_use_preset)
