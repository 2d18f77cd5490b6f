"""The keymap entry of Generate 3D: it has no key until the user gives it one in the preferences."""

import bpy

_entries: list[tuple[bpy.types.KeyMap, bpy.types.KeyMapItem]] = []


def register():
    keys = bpy.context.window_manager.keyconfigs.addon
    if keys is None:
        return  # in background mode
    keymap = keys.keymaps.new(name="3D View", space_type="VIEW_3D")
    _entries.append((keymap, keymap.keymap_items.new("kiss3d.generate", "NONE", "PRESS")))


def unregister():
    while _entries:
        keymap, item = _entries.pop()
        keymap.keymap_items.remove(item)
