"""For scripts inside Blender (4.2 to 5.2, Python 3.11 to 3.14): install an extension, look at it, leave cleanly.

Plain Blender Python: no test library is there.
"""
# pyright: reportMissingImports=false

import contextlib
import json
import sys
import traceback
from pathlib import Path

import bpy

# isort: split
# As a wheel, bpy brings the other modules onto the path, so it comes first.
import addon_utils

REPOSITORY = "user_default"


def report(**values):
    """Hand values (what JSON can say) to the test: they are in ``.report`` of the finished run."""
    print("KISS3D-REPORT " + json.dumps(values), flush=True)


def module_name(extension_id):
    return f"bl_ext.{REPOSITORY}.{extension_id}"


def enabled(extension_id):
    """Whether Blender holds the extension as enabled."""
    return module_name(extension_id) in bpy.context.preferences.addons


def install(zip_path, extension_id="kiss3d"):
    """Install and enable the zip; return its module. Blender says FINISHED even when it refused: so look."""
    result = bpy.ops.extensions.package_install_files(filepath=str(zip_path), repo=REPOSITORY, enable_on_install=True)
    assert result == {"FINISHED"}, result
    assert enabled(extension_id), f"Blender did not enable {extension_id}; enabled: {_enabled_names()}"
    return sys.modules[module_name(extension_id)]


def enable(extension_id="kiss3d"):
    """Enable an extension that an earlier process installed into the same resources; return its module."""
    module = addon_utils.enable(module_name(extension_id), default_set=True)
    assert module is not None and enabled(extension_id), f"{extension_id} cannot be enabled"
    return module


def disable(extension_id="kiss3d"):
    """Unregister the extension: what stays registered at exit crashes bpy 4.2 and hangs bpy 4.5."""
    addon_utils.disable(module_name(extension_id), default_set=True)


@contextlib.contextmanager
def installed(zip_path, extension_id="kiss3d"):
    """``with installed(zip) as module:`` the extension is disabled at the end, whatever happens."""
    module = install(zip_path, extension_id)
    try:
        yield module
    finally:
        disable(extension_id)


def assert_bundled(*names):
    """The named modules come from the wheels in the extension, not from somewhere else."""
    for name in names:
        path = Path(__import__(name).__file__)
        assert "extensions/.local" in path.as_posix(), f"{name} comes from {path}"


def _enabled_names():
    return sorted(addon.module for addon in bpy.context.preferences.addons)


_draws = []


def watch_drawing():
    """Count how often the 3D View has been drawn, for :func:`drawn`."""
    bpy.types.SpaceView3D.draw_handler_add(lambda: _draws.append(1), (), "WINDOW", "POST_PIXEL")


def drawn():
    """Whether the 3D View has been drawn."""
    return bool(_draws)


def redraw():
    """Have everything drawn again; return how often the 3D View had been drawn before, for :func:`drawn_since`."""
    before = len(_draws)
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            area.tag_redraw()
    return before


def drawn_since(before):
    """Whether all of it has been drawn since :func:`redraw` returned ``before``, and once more."""
    if len(_draws) == before + 1:
        redraw()
    return len(_draws) > before + 1


def answer_questions(folder):
    """Run what the test puts into the folder, 20 times a second, in Blender's main loop."""

    def look():
        for question in sorted(folder.glob("*.question")):
            asked = json.loads(question.read_text(encoding="utf-8"))
            question.unlink()
            partial = question.with_suffix(".saying")
            partial.write_text(json.dumps(_answer(asked)), encoding="utf-8")
            partial.replace(question.with_suffix(".answer"))
        return 0.05

    bpy.app.timers.register(look, persistent=True)


def _answer(asked):
    names = {"bpy": bpy, "inside": sys.modules[__name__]}
    try:
        with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
            if "source" in asked:
                exec(asked["source"], names)
                return {}
            value = eval(asked["expression"], names)
            json.dumps(value)
            return {"value": value}
    except Exception:
        return {"error": traceback.format_exc()}


def _view():
    for area in bpy.context.window_manager.windows[0].screen.areas:
        if area.type == "VIEW_3D":
            return area
    raise AssertionError("no 3D View in the window")


def _sidebar_region():
    return next(region for region in _view().regions if region.type == "UI")


def show_panel(category):
    """Open the sidebar at a tab; true once it is there (the tabs exist only after a redraw)."""
    _view().spaces.active.show_region_ui = True
    region = _sidebar_region()
    with contextlib.suppress(AttributeError, TypeError):
        region.active_panel_category = category
    _view().tag_redraw()
    return region.width > 1 and region.active_panel_category == category


def sidebar():
    """Left, top, right and bottom of the sidebar in pixels, counted from the bottom of the window."""
    region = _sidebar_region()
    return region.x, region.y + region.height, region.x + region.width, region.y


def quit_soon():
    """Quit Blender as its menu does, after the current question has been answered."""

    def leave():
        window = bpy.context.window_manager.windows[0]
        with bpy.context.temp_override(window=window):
            bpy.ops.wm.quit_blender("EXEC_DEFAULT")

    bpy.app.timers.register(leave, first_interval=0.2)
