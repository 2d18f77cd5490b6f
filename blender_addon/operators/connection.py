"""The connection to the backend, and the notice in the panel."""

import bpy

from kiss3d_protocol.errors import BackendUnreachable
from kiss3d_protocol.pairing_string import PairingString, parse_pairing
from kiss3d_protocol.servers import Server

from .. import blender_session, preferences
from ..importer.log_text import write_log
from ..link_state import Link
from ..translations import tr
from .attempt import attempt
from .text_editor import show_text


def _use(server: Server) -> None:
    chosen = preferences.get(bpy.context)
    chosen.mode, chosen.address = "ADDRESS", server.name
    blender_session.monitor().connect(chosen.backend_target())


class KISS3D_OT_connect(bpy.types.Operator):
    """Start the local backend, or connect to the one at the address in the preferences"""

    bl_idname = "kiss3d.connect"
    bl_label = "Connect"

    @classmethod
    def poll(cls, context):
        connection = preferences.connection(context)
        if connection is not None and connection.view.link not in (Link.OFF, Link.FAILED):
            cls.poll_message_set(tr("There is a connection already"))
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
        if preferences.connection(context) is None:
            cls.poll_message_set(tr("There is no connection"))
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

    @classmethod
    def poll(cls, context):
        if blender_session.is_pairing():
            cls.poll_message_set(tr("A pairing is under way"))
            return False
        return True

    def execute(self, context):
        return attempt(self, lambda: blender_session.pair(self._pairing(context), _use))

    def _pairing(self, context) -> PairingString:
        pairing = parse_pairing(context.window_manager.clipboard)
        if not pairing.address.is_loopback and not bpy.app.online_access:
            raise BackendUnreachable(
                f"Blender is not allowed to use the network, so '{pairing.address}' cannot be reached.",
                "Turn on 'Allow Online Access' in Preferences > System, or start Blender with --online-mode.",
            )
        return pairing


class KISS3D_OT_show_output(bpy.types.Operator):
    """Show what the local backend writes, in the Text Editor. The text is kept current while it is in the file"""

    bl_idname = "kiss3d.show_output"
    bl_label = "Show Output"

    @classmethod
    def poll(cls, context):
        connection = preferences.connection(context)
        if connection is None or not connection.log:
            cls.poll_message_set(tr("The local backend has not written anything yet"))
            return False
        return True

    def execute(self, context):
        show_text(context, write_log(preferences.connection(context).log))
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


CLASSES = (
    KISS3D_OT_connect,
    KISS3D_OT_disconnect,
    KISS3D_OT_pair,
    KISS3D_OT_show_output,
    KISS3D_OT_dismiss_notice,
    KISS3D_OT_preferences,
)
