"""A result as an asset: tags, a description, and a picture for the Asset Browser."""

from __future__ import annotations

import bpy
import numpy as np

from .material import build_image
from .result_options import ResultOptions

PREVIEW_SIZE = 256
"""Pixels of the longer side."""


def mark_as_asset(thing: bpy.types.Object, options: ResultOptions, description: str, picture: bytes | None) -> None:
    """``picture``: an encoded picture of it; without one Blender draws it, if it has a window."""
    thing.asset_mark()
    thing.asset_data.description = description
    if options.catalogue:
        thing.asset_data.catalog_id = options.catalogue
    for tag in options.tags:
        thing.asset_data.tags.new(tag, skip_if_exists=True)
    if picture is not None:
        _show(thing, picture)
    elif not bpy.app.background:
        thing.asset_generate_preview()


def _show(thing: bpy.types.Object, picture: bytes) -> None:
    image = build_image(picture, "Kiss3D preview")
    try:
        width, height = image.size
        if not width or not height:
            return
        scale = PREVIEW_SIZE / max(width, height)
        image.scale(max(round(width * scale), 1), max(round(height * scale), 1))
        pixels = np.empty(image.size[0] * image.size[1] * image.channels, np.float32)
        image.pixels.foreach_get(pixels)
        preview = thing.preview_ensure()
        preview.image_size = image.size
        preview.image_pixels_float.foreach_set(pixels)
    finally:
        bpy.data.images.remove(image)
