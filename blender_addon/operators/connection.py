"""The connection to the backend, and the notice in the panel."""

import bpy

from .. import blender_session, preferences
from ..job_state import Link


def _connection(context):
    return blender_session.monitor().connections.get(preferences.get(context).backend_target())


class KISS3D_OT_connect(bpy.types.Operator):
    """Start the local backend, or connect to the one at the address in the preferences"""

    bl_idname = "kiss3d.connect"
    bl_label = "Connect"

    @classmethod
    def poll(cls, context):
        connection = _connection(context)
        if connection is not None and connection.view.link not in (Link.OFF, Link.FAILED):
            cls.poll_message_set("There is a connection already")
            return False
        return True

    def execute(self, context):
        blender_session.monitor().connect(preferences.get(context).backend_target())
        blender_session.wake()
        return {"FINISHED"}


class KISS3D_OT_disconnect(bpy.types.Operator):
    """Close the connection. A local backend is ended; jobs that have not finished are cancelled"""

    bl_idname = "kiss3d.disconnect"
    bl_label = "Disconnect"

    @classmethod
    def poll(cls, context):
        if _connection(context) is None:
            cls.poll_message_set("There is no connection")
            return False
        return True

    def execute(self, context):
        blender_session.monitor().disconnect(preferences.get(context).backend_target())
        blender_session.wake()
        return {"FINISHED"}


class KISS3D_OT_dismiss_notice(bpy.types.Operator):
    """Take this message away"""

    bl_idname = "kiss3d.dismiss_notice"
    bl_label = "Dismiss"

    def execute(self, context):
        blender_session.show(None)
        return {"FINISHED"}


class KISS3D_OT_preferences(bpy.types.Operator):
    """Open the preferences of Kiss3D, where the backend is chosen"""

    bl_idname = "kiss3d.preferences"
    bl_label = "Preferences"

    def execute(self, context):
        return bpy.ops.preferences.addon_show(module=preferences.__package__)
