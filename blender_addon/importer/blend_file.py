"""Whole files: an empty one to begin with, one that is opened, one that is saved, one for a single result."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import bpy

from kiss3d_protocol.errors import OutputUnwritable


def open_or_begin(path: Path) -> None:
    """Opens a .blend without running what is in it, or begins an empty one where there is none.

    Raises :class:`OutputUnwritable` for a file that Blender cannot read.
    """
    if not path.exists():
        begin_empty()
        return
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise OutputUnwritable(f"'{path}' cannot be opened, so nothing can be added to it.") from error


def begin_empty() -> None:
    """A file with one scene and nothing in it, with the user's own settings for new files."""
    bpy.ops.wm.read_homefile(use_empty=True, load_ui=False)
    if not bpy.data.scenes:
        bpy.data.scenes.new("Scene")


def save(path: Path) -> None:
    """Saves the open file there. Raises :class:`OutputUnwritable`."""
    _written(path, lambda: bpy.ops.wm.save_as_mainfile(filepath=str(path), check_existing=False))


def save_alone(path: Path, collection: bpy.types.Collection) -> None:
    """A .blend of its own with one scene, in which is the collection and what it needs; the open file stays as it is.

    Raises :class:`OutputUnwritable`.
    """
    # A copy has the user's units, and Blender 5.2 crashes when it writes a scene that a script has made anew.
    scene = bpy.context.scene.copy()
    try:
        scene.name = collection.name
        scene.kiss3d.history.clear()
        for other in [one for one in scene.collection.children if one != collection]:
            scene.collection.children.unlink(other)
        for thing in list(scene.collection.objects):
            scene.collection.objects.unlink(thing)
        _written(path, lambda: bpy.data.libraries.write(str(path), {scene}, fake_user=False))
    finally:
        bpy.data.scenes.remove(scene)


def save_glb(path: Path) -> None:
    """A GLB of the selected objects, with their custom properties as extras. Raises :class:`OutputUnwritable`."""
    # The exporter writes in place; a file with this name is whole.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.glb")

    def write() -> None:
        bpy.ops.export_scene.gltf(
            filepath=str(partial), export_format="GLB", use_selection=True, export_extras=True, export_apply=False
        )
        partial.replace(path)

    try:
        _written(path, write)
    finally:
        partial.unlink(missing_ok=True)


def library_of(folder: Path) -> Path:
    """The root of the asset library that a folder is in; the folder itself where it is in none that Blender knows."""
    for library in bpy.context.preferences.filepaths.asset_libraries:
        if library.path and folder.resolve().is_relative_to(Path(library.path).resolve()):
            return Path(library.path)
    return folder


def _written(path: Path, write: Callable[[], object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write()
    except (OSError, RuntimeError) as error:
        raise OutputUnwritable(f"'{path}' cannot be written.") from error
