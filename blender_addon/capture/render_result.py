"""The last render of the scene."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bpy

from kiss3d_protocol.errors import PictureUnreadable

from .picture import Picture, picture_from_file

_FIELDS = ("media_type", "file_format", "color_mode", "color_depth", "color_management", "compression")
"""What is changed of a scene's output for a moment, in the order in which it has to be put back. ``media_type`` is
there from Blender 5.0."""


def hindrance(context: bpy.types.Context) -> str:
    """Why there is no render to be taken; empty when there is one."""
    if render_image() is None:
        return "Render the scene first"
    if bpy.app.is_job_running("RENDER"):
        return "Wait until the render has finished"
    return ""


def render_image() -> bpy.types.Image | None:
    """The image in which Blender shows renders, None before the first."""
    return next((image for image in bpy.data.images if image.type == "RENDER_RESULT"), None)


def picture_of_render(scene: bpy.types.Scene) -> Picture:
    """The last render of ``scene`` as its view settings show it, a PNG with alpha. Raises a :class:`PictureError`."""
    image = render_image()
    with tempfile.TemporaryDirectory(prefix="kiss3d-", dir=bpy.app.tempdir) as folder:
        path = Path(folder) / "render.png"
        try:
            if image is not None:
                with _png(scene.render.image_settings):
                    image.save_render(str(path), scene=scene)
        except RuntimeError:
            pass  # Blender says so when the image is there, but empty.
        if not path.is_file():
            raise PictureUnreadable(f"There is no render of the scene '{scene.name}'.", "Render it first (F12).")
        picture = picture_from_file(path)
    return Picture(picture.data, picture.media_type, f"{scene.name} render")


@contextlib.contextmanager
def _png(settings: bpy.types.ImageFormatSettings) -> Iterator[None]:
    # Blender saves a render by the settings of its own scene only.
    before = {name: getattr(settings, name) for name in _FIELDS if hasattr(settings, name)}
    try:
        if "media_type" in before:
            settings.media_type = "IMAGE"
        settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGBA", "8"
        settings.color_management, settings.compression = "FOLLOW_SCENE", 10
        yield
    finally:
        for name, value in before.items():
            setattr(settings, name, value)
