"""The sub-panel that says how things stand with the backend, and why."""

import bpy

from .. import blender_session, preferences
from ..connection import AddressTarget, Connection, LocalTarget
from ..job_state import Phase
from ..link_state import Link, LinkView
from ..operators.connection import (
    KISS3D_OT_connect,
    KISS3D_OT_disconnect,
    KISS3D_OT_pair,
    KISS3D_OT_preferences,
    KISS3D_OT_show_output,
)
from ..translations import tr
from .main_panel import KISS3D_PT_main
from .setup_box import draw_other_version, draw_setup
from .text import draw_error, draw_text

ICONS = {
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
        if local and draw_setup(layout, context):
            layout.operator(KISS3D_OT_preferences.bl_idname, icon="PREFERENCES")
            return
        draw_text(layout, context, _sentence(view, local, connection), icon=ICONS[view.link])
        if view.error is not None:
            draw_error(layout, context, view.error)
        if view.link is Link.CONNECTED:
            draw_other_version(layout, context, view.welcome.server)
        row = layout.row(align=True)
        if view.link in (Link.OFF, Link.FAILED):
            text = "Try Again" if view.link is Link.FAILED else ("Start" if local else "Connect")
            row.operator(KISS3D_OT_connect.bl_idname, text=text, icon="PLAY")
        else:
            text = "Stop" if local else "Disconnect"
            row.operator(KISS3D_OT_disconnect.bl_idname, text=text, icon="X")
        if local:
            row.operator(KISS3D_OT_show_output.bl_idname, text="", icon="CONSOLE")
        row.operator(KISS3D_OT_preferences.bl_idname, text="", icon="PREFERENCES")
        if isinstance(target, AddressTarget) and view.link in (Link.OFF, Link.FAILED):
            layout.operator(KISS3D_OT_pair.bl_idname, icon="PASTEDOWN")


def _sentence(view: LinkView, local: bool, connection: Connection | None) -> str:
    if blender_session.is_pairing():
        return tr("Pairing with the backend.")
    match view.link:
        case Link.OFF:
            return tr("The local backend is not running.") if local else tr("Not connected.")
        case Link.STARTING:
            return tr("The local backend is starting.")
        case Link.CONNECTING:
            return tr("Connecting.")
        case Link.CONNECTED:
            assert view.welcome is not None
            return _connected(view, connection)
        case Link.LOST:
            return tr("The backend does not answer at the moment. Its jobs go on.")
        case Link.FAILED:
            return tr("No connection.")


def _connected(view: LinkView, connection: Connection | None) -> str:
    jobs = [job for job in blender_session.monitor().jobs.values() if job.connection is connection]
    busy = next((job for job in jobs if job.state.phase is Phase.RUNNING), None)
    place = {"server": view.welcome.server, "device": view.welcome.device.name}
    if busy is None:
        return tr("Connected: {server}, {device}.", **place)
    return tr("Busy with '{name}': {server}, {device}.", name=busy.state.name, **place)
