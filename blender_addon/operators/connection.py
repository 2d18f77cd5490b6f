"""The connection to the backend, and the notice in the panel."""

import bpy

from kiss3d_protocol.errors import Kiss3DError
from kiss3d_protocol.pairing_string import parse_pairing
from kiss3d_protocol.redeem import pair_with

from .. import blender_session, preferences
from ..link_state import Link

PAIR_SECONDS = 5.0


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


class KISS3D_OT_pair(bpy.types.Operator):
    """Pair with the backend whose pairing string ('kiss3d pair' prints it) is in the clipboard"""

    bl_idname = "kiss3d.pair"
    bl_label = "Pair with String in Clipboard"
    # No property and no REGISTER: the string ends up neither in Blender's log nor in a file. It is good for one use.
    bl_options = {"INTERNAL"}

    def execute(self, context):
        try:
            pairing = parse_pairing(context.window_manager.clipboard)
            if not pairing.address.is_loopback and not bpy.app.online_access:
                self.report({"ERROR"}, "Turn on 'Allow Online Access' in Preferences > System first.")
                return {"CANCELLED"}
            # A click that waits, but seldom for more than a moment: the string names a backend that runs.
            server = pair_with(pairing.to_text(), f"kiss3d-blender/{blender_session.VERSION}", timeout=PAIR_SECONDS)
        except Kiss3DError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        chosen = preferences.get(context)
        chosen.mode, chosen.address = "ADDRESS", server.name
        self.report({"INFO"}, f"Paired with {server.address} as '{server.client}'.")
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
