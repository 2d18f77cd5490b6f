"""Pictures that are in no file, kept with the object that was made of them, so that it can be made again."""

from __future__ import annotations

from collections.abc import Mapping

import bpy

from ..capture.picture import Picture
from .material import build_image

_PREFIX = "kiss3d_"


def keep_pictures(thing: bpy.types.Object, pictures: Mapping[str, Picture]) -> None:
    """Points custom properties of ``thing`` to the images that ``pictures`` were taken from, or to new, packed ones.

    What is in a file of its own is found again by its path, in the recipe.
    """
    for slot, picture in pictures.items():
        if not picture.path:
            image = next((one for one in bpy.data.images if one.session_uid == picture.image_uid), None)
            thing[_PREFIX + slot] = image or build_image(picture.data, f"{thing.name} {slot.replace('_', ' ')}")


def kept_picture(thing: bpy.types.Object, slot: str) -> bpy.types.Image | None:
    """What :func:`keep_pictures` kept, if it is still there."""
    image = thing.get(_PREFIX + slot)
    return image if isinstance(image, bpy.types.Image) else None
