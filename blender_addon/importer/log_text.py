"""The local backend's output as a text of the .blend, where Blender's Text Editor shows it."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

NAME = "Kiss3D Backend"
_KEY = "kiss3d_backend_log"


def find_log() -> bpy.types.Text | None:
    """The text, whatever it is called now; None when it was not asked for or was deleted."""
    return next((text for text in bpy.data.texts if text.get(_KEY)), None)


def write_log(lines: Sequence[str]) -> bpy.types.Text:
    """Makes the text hold ``lines``, and makes the text when there is none."""
    text = find_log()
    if text is None:
        text = bpy.data.texts.new(NAME)
        text[_KEY] = True
    said = "\n".join(lines)
    if text.as_string() != said:
        text.clear()
        text.write(said)
    return text
