"""What an object was made of, found again by the recipe on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from kiss3d_protocol.errors import ParamsInvalid, PictureMissing

from ..importer.keepsakes import kept_picture
from ..importer.target import RECIPE_KEY
from ..job_inputs import JobInputs
from .datablock import picture_from_image
from .mesh import mesh_from_object
from .picture import Picture, picture_from_file


def recipe_of(thing: bpy.types.Object | None) -> dict[str, Any]:
    """The recipe on an object; empty when there is none that it could be made again by."""
    recipe = None if thing is None else thing.get(RECIPE_KEY)
    found = recipe.to_dict() if hasattr(recipe, "to_dict") else {}
    return found if isinstance(found.get("slots"), str) else {}


def inputs_again(thing: bpy.types.Object) -> JobInputs:
    """The pictures and the mesh that ``thing`` was made of, as they are now.

    Raises a :class:`PictureError`, :class:`MeshError` or :class:`ParamsInvalid` that names what is missing.
    """
    recipe = recipe_of(thing)
    pictures = {slot: _picture(thing, recipe, slot) for slot in recipe["slots"].split()}
    mesh = mesh_of(recipe)
    return JobInputs(
        str(recipe.get("picture", thing.name)),
        pictures.get("picture"),
        None if mesh is None else mesh_from_object(mesh),
        tuple(picture for slot, picture in pictures.items() if slot != "picture"),
    )


def mesh_of(recipe: Mapping[str, Any]) -> bpy.types.Object | None:
    """The object that was enhanced, None when the recipe has none. Raises :class:`ParamsInvalid` when it is gone."""
    name = recipe.get("mesh", "")
    if not name:
        return None
    found = bpy.data.objects.get(name)
    if found is None:
        raise ParamsInvalid(
            f"The object '{name}' that it was made of is not in this file.", "Select a mesh and enhance that."
        )
    return found


def _picture(thing: bpy.types.Object, recipe: Mapping[str, Any], slot: str) -> Picture:
    path = recipe.get("paths", {}).get(slot)
    if path:
        return picture_from_file(Path(path))
    image = kept_picture(thing, slot)
    if image is None:
        raise PictureMissing(
            f"The picture that '{thing.name}' was made of is not in this file any more.", "Choose a picture yourself."
        )
    return picture_from_image(image)
