"""The sub-panel that says how things stand with the backend, and why."""

import bpy

from .. import blender_session, preferences
from ..connection import LocalTarget
from ..link_state import Link, LinkView
from ..operators.connection import KISS3D_OT_connect, KISS3D_OT_disconnect, KISS3D_OT_preferences
from .main_panel import KISS3D_PT_main
from .text import draw_error, draw_text

_ICONS = {
    Link.OFF: "UNLINKED",
    Link.STARTING: "SORTTIME",
    Link.CONNECTING: "SORTTIME",
    Link.CONNECTED: "LINKED",
    Link.LOST: "ERROR",
    Link.FAILED: "ERROR",
}


class KISS3D_PT_connection(bpy.types.Panel):
    bl_label = "Backend"
    bl_parent_id = KISS3D_PT_main.__name__
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Kiss3D"

    def draw(self, context):
        layout = self.layout
        target = preferences.get(context).backend_target()
        connection = blender_session.monitor().connections.get(target)
        view = connection.view if connection is not None else LinkView()
        local = isinstance(target, LocalTarget)
        draw_text(layout, context, _sentence(view, local), icon=_ICONS[view.link])
        if view.error is not None:
            draw_error(layout, context, view.error)
        row = layout.row(align=True)
        if view.link in (Link.OFF, Link.FAILED):
            text = "Try Again" if view.link is Link.FAILED else ("Start" if local else "Connect")
            row.operator(KISS3D_OT_connect.bl_idname, text=text, icon="PLAY")
        else:
            text = "Stop" if local else "Disconnect"
            row.operator(KISS3D_OT_disconnect.bl_idname, text=text, icon="X")
        row.operator(KISS3D_OT_preferences.bl_idname, text="", icon="PREFERENCES")


def _sentence(view: LinkView, local: bool) -> str:
    match view.link:
        case Link.OFF:
            return "The local backend is not running." if local else "Not connected."
        case Link.STARTING:
            return "The local backend is starting."
        case Link.CONNECTING:
            return "Connecting."
        case Link.CONNECTED:
            assert view.welcome is not None
            return f"Connected: {view.welcome.server}, {view.welcome.device.name}."
        case Link.LOST:
            return "The backend does not answer at the moment. Its jobs go on."
        case Link.FAILED:
            return "No connection."
