"""The picture in the system's clipboard: an image, or the path of a picture file."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import bpy

from kiss3d_protocol.errors import PictureMissing

from ..importer.scratch import newest_image
from .datablock import picture_from_image
from .picture import Picture, picture_from_file

HOW_TO_COPY = "Copy a picture, or the path of a picture file, then try again."


def hindrance(context: bpy.types.Context) -> str:
    """Why there is nothing to be taken; empty when there is."""
    if bpy.app.background:
        return "The clipboard is out of reach in background mode"
    if _path(context) is None and not _has_image():
        if _is_on_x11():
            return "Copy the path of a picture file first: from X11's clipboard Blender reads no pictures"
        return "Copy a picture, or the path of a picture file, first"
    return ""


def picture_from_clipboard(context: bpy.types.Context) -> Picture:
    """The picture, or that in the file whose path or address is in the clipboard. Raises a :class:`PictureError`."""
    path = _path(context)
    if path is not None:
        return picture_from_file(path)
    if not _has_image():
        raise PictureMissing("There is no picture in the clipboard.", HOW_TO_COPY)
    known = {image.session_uid for image in bpy.data.images}
    _paste(context)
    with newest_image(known) as image:
        if image is None:
            raise PictureMissing("The clipboard's picture could not be taken.", HOW_TO_COPY)
        return picture_from_image(image)


def _path(context) -> Path | None:
    """The file that the text in the clipboard names, if it is one."""
    text = context.window_manager.clipboard.strip().strip("\"'")
    if not text or "\n" in text:
        return None
    try:
        path = Path(url2pathname(urlsplit(text).path) if text.startswith("file:") else text)
        return path if path.is_absolute() and path.is_file() else None
    except (OSError, ValueError):  # a text of any kind is no path: too long, with zeros
        return None


def _is_on_x11() -> bool:
    # Blender draws on Wayland wherever it is there.
    return sys.platform.startswith(("linux", "freebsd")) and not os.environ.get("WAYLAND_DISPLAY")


def _has_image() -> bool:
    return bpy.ops.image.clipboard_paste.poll()


def _paste(context) -> None:
    """Blender pastes into an Image Editor only: the editor that was clicked in becomes one for a moment."""
    area = context.area
    before = area.type
    try:
        area.type = "IMAGE_EDITOR"
        with context.temp_override(area=area):
            bpy.ops.image.clipboard_paste()
    finally:
        area.type = before
