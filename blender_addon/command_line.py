"""``blender --command kiss3d``, as Blender knows it."""

from collections.abc import Sequence

import bpy

_handle = None


def register():
    global _handle
    _handle = bpy.utils.register_cli_command("kiss3d", _run)


def unregister():
    global _handle
    bpy.utils.unregister_cli_command(_handle)
    _handle = None


def _run(argv: Sequence[str]) -> int:
    # Loaded when it is needed: a Blender with a window never needs it.
    from .commands.run import run

    return run(argv)
