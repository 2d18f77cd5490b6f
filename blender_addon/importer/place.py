"""Results into the scene and out of it. Nothing outside this package writes to bpy.data."""

from __future__ import annotations

import contextlib
from typing import Any

import bpy
import mathutils

from .arrays import MeshArrays
from .asset import mark_as_asset
from .build import MADE_FOR_KEY, Parts, build, parts_of
from .fit import fitted
from .history import note_result
from .keepsakes import keep_pictures
from .lods import make_lods
from .mesh import refill_mesh
from .target import RECIPE_KEY, Target


def hindrance(target: Target) -> str:
    """Why the result cannot be placed right now, as a sentence; empty when it can."""
    if target.scene() is None:
        return "The scene that it was made for is not open."
    existing = target.object() or target.replaced()
    if existing is not None and existing.mode != "OBJECT":
        return f"'{existing.name}' is being edited: go back to Object Mode to let the new mesh in."
    return ""


def place(target: Target, arrays: MeshArrays, recipe: dict[str, Any]) -> bpy.types.Object | None:
    """Puts the mesh into the target's scene: in place of the one that stands there already, else as a new object.

    A mesh for an object of the artist is held until :func:`finish`, so whatever happens before leaves that object as it
    was.
    """
    if target.fit is not None:
        arrays = fitted(arrays, target.fit)
    if target.replaces is not None:
        target.held = arrays
        return None
    return _put(target, arrays, recipe)


def finish(target: Target, recipe: dict[str, Any]) -> None:
    """Completes the result as the target's options say, and makes all of it one undo step."""
    if target.held is not None:
        arrays, target.held = target.held, None
        replaced = target.replaced()
        if replaced is None:
            _put(target, arrays, recipe)
        else:
            _take_over(target, replaced, arrays)
    existing = target.object()
    if existing is None:
        return
    existing[RECIPE_KEY] = recipe
    keep_pictures(existing, target.pictures)
    make_lods(existing, target.options.lods, existing.users_collection[0])
    if target.options.asset:
        picture = next((picture.data for picture in target.pictures.values()), target.preview)
        mark_as_asset(existing, target.options, recipe.get("prompt") or target.name, picture)
    scene = target.scene()
    if scene is not None:
        note_result(scene, existing.name, recipe)
    _push_undo(f"Kiss3D: {existing.name}")


def bring_back(target: Target, recipe: dict[str, Any]) -> bpy.types.Object | None:
    """Another object with the mesh of the target's job, in one undo step; None when this .blend has it no more."""
    mesh = next((mesh for mesh in bpy.data.meshes if mesh.get(MADE_FOR_KEY) == target.job), None)
    if mesh is None:
        return None
    again = _new_object(target, mesh)
    again[RECIPE_KEY] = recipe
    _push_undo(f"Kiss3D: {again.name}")
    return again


def removable(target: Target) -> bool:
    """Whether :func:`remove` can do its work now: an object that is being edited must be left alone."""
    existing = target.object()
    return existing is None or existing.mode == "OBJECT"


def remove(target: Target) -> None:
    """Takes the object of a job that did not end well out of the scene, with all that was made for it."""
    target.held = None
    existing = target.object()
    if existing is None:
        return
    made = parts_of(existing.data, target.job)
    bpy.data.objects.remove(existing)
    made.discard()
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


def _put(target: Target, arrays: MeshArrays, recipe: dict[str, Any]) -> bpy.types.Object:
    """Everything is built before anything in the scene is touched, so a failure leaves the scene as it was.

    An object that stands there keeps its name, its place, its modifiers and the names of its data; what is replaced is
    removed.
    """
    existing = target.object()
    old = Parts() if existing is None else parts_of(existing.data, target.job)
    if existing is not None and old.mesh is not None and _differ_in_shape_only(old, arrays):
        # So that a mesh that improves many times costs no more than its geometry.
        refill_mesh(old.mesh, arrays)
        existing[RECIPE_KEY] = recipe
        return existing
    worn = [slot for slot in existing.data.materials if slot] if existing is not None and old.material is None else []

    built = build(target, arrays, worn)
    if existing is None:
        try:
            existing = _new_object(target, built.mesh)
        except BaseException:
            built.discard()
            raise
    elif old.mesh is None:
        existing.data = built.mesh
    _succeed(old.mesh, built.mesh)
    _succeed(old.material, built.material)
    _succeed(old.image, built.image)
    _succeed(old.normals, built.normals)
    existing[RECIPE_KEY] = recipe
    target.object_uid = existing.session_uid
    return existing


def _differ_in_shape_only(old: Parts, arrays: MeshArrays) -> bool:
    """Whether the new mesh looks right with the material of the old one."""
    pictures = (old.image, old.normals, arrays.texture, arrays.normal_map)
    return all(one is None for one in pictures) and bool(old.mesh.color_attributes) == (arrays.colours is not None)


def _take_over(target: Target, replaced: bpy.types.Object, arrays: MeshArrays) -> None:
    """Gives an object of the artist the new mesh, as if its modifiers had been applied: they are in what was sent."""
    built, old = build(target, arrays), parts_of(replaced.data)
    replaced.modifiers.clear()
    replaced.data = built.mesh
    for slot in replaced.material_slots:
        slot.link = "DATA"
    old.discard()
    target.object_uid = replaced.session_uid


def _new_object(target: Target, mesh: bpy.types.Mesh) -> bpy.types.Object:
    scene = target.scene()
    assert scene is not None, "hindrance() was not asked"
    new = bpy.data.objects.new(target.name, mesh)
    try:
        new.location = target.location
        if target.fit is not None:
            new.matrix_world = mathutils.Matrix(target.fit.matrix)
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
