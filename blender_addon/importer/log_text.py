"""The output of the local backend and of its set-up, as texts of the .blend, which the Text Editor shows."""

from __future__ import annotations

from collections.abc import Sequence

import bpy

BACKEND = "Kiss3D Backend"
SETUP = "Kiss3D Set-up"
_KEYS = {BACKEND: "kiss3d_backend_log", SETUP: "kiss3d_setup_log"}


def find_log(name: str = BACKEND) -> bpy.types.Text | None:
    """The text, whatever it is called now; None when it was not asked for or was deleted."""
    return next((text for text in bpy.data.texts if text.get(_KEYS[name])), None)


def write_log(lines: Sequence[str], name: str = BACKEND) -> bpy.types.Text:
    """Makes the text hold ``lines``, and makes the text when there is none."""
    text = find_log(name)
    if text is None:
        text = bpy.data.texts.new(name)
        text[_KEYS[name]] = True
    said = "\n".join(lines)
    if text.as_string() != said:
        text.clear()
        text.write(said)
    return text
