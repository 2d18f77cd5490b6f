"""Showing a text of the .blend to the person."""

import bpy


def show_text(context, text):
    """Opens ``text`` in a Text Editor: one that is there, or one in a window of its own."""
    if bpy.app.background:
        return  # there is no editor to show it in
    area = next((area for area in context.screen.areas if area.type == "TEXT_EDITOR"), None)
    if area is None:
        bpy.ops.wm.window_new()
        area = context.window_manager.windows[-1].screen.areas[0]
        area.type = "TEXT_EDITOR"
    area.spaces.active.text = text
