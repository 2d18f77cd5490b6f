"""What tests ask the Blender of the window rig, in words that it understands."""

from __future__ import annotations

from tests.blender.rigs.window import Window

SETUP = """
import bpy
from bl_ext.user_default.kiss3d import preferences

preferences.get(bpy.context).mode = "ADDRESS"
bpy.data.objects.remove(bpy.data.objects["Cube"])
bpy.ops.ed.undo_push(message="start")
for area in bpy.context.window_manager.windows[0].screen.areas:
    if area.type == "VIEW_3D":
        area.spaces[0].shading.color_type = "TEXTURE"
        area.spaces[0].region_3d.view_rotation = (0.8, 0.6, 0.0, 0.0)
        area.spaces[0].region_3d.view_distance = 6
"""
"""An empty scene that is looked at from the front and above, and a backend at an address."""

SESSION = "__import__('sys').modules['bl_ext.user_default.kiss3d.blender_session']"
JOBS = f"list({SESSION}.monitor().jobs.values())"
LINK = f"next(iter({SESSION}.monitor().connections.values()))"
TICKS = f"{SESSION}.monitor().times.summary()"
SETTINGS = "bpy.context.scene.kiss3d"
CHOSEN = "bpy.context.preferences.addons['bl_ext.user_default.kiss3d'].preferences"


def set_backend(window: Window, address: str) -> None:
    window.execute(f"{CHOSEN}.address = {address!r}")
