"""For scripts inside Blender (4.2 to 5.2, Python 3.11 to 3.14): install an extension, look at it, leave cleanly.

Plain Blender Python: no test library is there.
"""
# pyright: reportMissingImports=false

import contextlib
import json
import sys
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
