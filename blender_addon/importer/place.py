"""Results into the scene and out of it. Nothing outside this package writes to bpy.data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import bpy

from .arrays import MeshArrays
from .material import build_image, build_material, image_of
from .mesh import build_mesh
from .target import RECIPE_KEY, Target

MADE_FOR_KEY = "kiss3d_job"
"""The custom property that marks meshes, materials and images as made for a job."""


def hindrance(target: Target) -> str:
    """Why the result cannot be placed right now, as a sentence; empty when it can."""
    if target.scene() is None:
        return "The scene that it was made for is not open."
    existing = target.object()
    if existing is not None and existing.mode != "OBJECT":
        return f"'{existing.name}' is being edited: go back to Object Mode to let the new mesh in."
    return ""


def place(target: Target, arrays: MeshArrays, recipe: dict[str, Any]) -> bpy.types.Object:
    """Puts the mesh into the target's scene: in place of the one that stands there already, else as a new object.

    Everything is built before anything in the scene is touched, so a failure leaves the scene as it was. An object that
    stands there keeps its name, its place, its modifiers and the names of its data; what is replaced is removed.
    """
    existing = target.object()
    old_mesh = existing.data if existing is not None else None
    old_material = _made(target, old_mesh.materials) if old_mesh is not None else None
    old_image = _made(target, [image_of(old_material)])
    old_normals = _made(target, [image_of(old_material, is_colour=False)])
    chosen = [slot for slot in old_mesh.materials if slot] if old_mesh is not None and old_material is None else []

    built: list[bpy.types.ID] = []
    try:
        mesh = _marked(target, build_mesh(arrays, target.name), built)
        image = normals = material = None
        if not chosen:
            if arrays.texture is not None:
                image = _marked(target, build_image(arrays.texture, target.name), built)
            if arrays.normal_map is not None:
                name = f"{target.name} normals"
                normals = _marked(target, build_image(arrays.normal_map, name, is_colour=False), built)
            has_colours = arrays.colours is not None
            material = _marked(target, build_material(image, normals, has_colours, target.name), built)
        for slot in chosen or [material]:
            mesh.materials.append(slot)
        if existing is None:
            existing = _new_object(target, mesh)
    except BaseException:
        bpy.data.batch_remove(built)
        raise
    if old_mesh is not None and _made(target, [old_mesh]) is None:
        existing.data = mesh
    else:
        _succeed(old_mesh, mesh)
    _succeed(old_material, material)
    _succeed(old_image, image)
    _succeed(old_normals, normals)
    existing[RECIPE_KEY] = recipe
    target.object_uid = existing.session_uid
    return existing


def finish(target: Target, recipe: dict[str, Any]) -> None:
    """Writes the whole recipe on the object and makes the import one undo step."""
    existing = target.object()
    if existing is not None:
        existing[RECIPE_KEY] = recipe
        _push_undo(f"Kiss3D: {existing.name}")


def removable(target: Target) -> bool:
    """Whether :func:`remove` can do its work now: an object that is being edited must be left alone."""
    existing = target.object()
    return existing is None or existing.mode == "OBJECT"


def remove(target: Target) -> None:
    """Takes the object of a job that did not end well out of the scene, with all that was made for it."""
    existing = target.object()
    if existing is None:
        return
    mesh = existing.data
    material = _made(target, mesh.materials)
    image = _made(target, [image_of(material)])
    normals = _made(target, [image_of(material, is_colour=False)])
    bpy.data.objects.remove(existing)
    for made in (_made(target, [mesh]), material, image, normals):
        if made is not None and made.users == 0:
            bpy.data.batch_remove([made])
    target.object_uid = None


def select(target: Target) -> bool:
    """Makes the object the selected and active one of the view layers that show it; False when it is gone."""
    existing = target.object()
    if existing is None:
        return False
    for scene in existing.users_scene:
        for layer in scene.view_layers:
            if existing.name in layer.objects:
                for other in layer.objects.selected:
                    other.select_set(False, view_layer=layer)
                existing.select_set(True, view_layer=layer)
                layer.objects.active = existing
    return True


def _new_object(target: Target, mesh: bpy.types.Mesh) -> bpy.types.Object:
    scene = target.scene()
    assert scene is not None, "hindrance() was not asked"
    new = bpy.data.objects.new(target.name, mesh)
    try:
        new.location = target.location
        target.collection(scene).objects.link(new)
    except BaseException:
        bpy.data.objects.remove(new)
        raise
    return new


def _succeed(old: bpy.types.ID | None, new: bpy.types.ID | None) -> None:
    """Puts ``new`` everywhere in place of ``old`` and under its name."""
    if old is None:
        return
    if new is not None:
        name = old.name
        old.user_remap(new)
        bpy.data.batch_remove([old])
        new.name = name
    elif old.users == 0:
        bpy.data.batch_remove([old])


def _push_undo(message: str) -> None:
    windows = bpy.context.window_manager.windows
    context = (
        bpy.context.temp_override(window=windows[0])
        if bpy.context.window is None and windows
        else contextlib.nullcontext()
    )
    with context:
        if bpy.context.mode != "OBJECT":
            # A push in an edit mode stores that mode's changes only; the next one outside stores ours.
            return
        bpy.ops.ed.undo_push(message=message)


def _marked(target: Target, new: bpy.types.ID, built: list[bpy.types.ID]) -> bpy.types.ID:
    built.append(new)
    new[MADE_FOR_KEY] = target.job
    return new


def _made(target: Target, candidates: Iterable[bpy.types.ID | None]) -> bpy.types.ID | None:
    """The first of the candidates that was made for the target's job: what people put there is never removed."""
    return next((one for one in candidates if one is not None and one.get(MADE_FOR_KEY) == target.job), None)
