"""Results that share one .blend: a collection for each, laid out on a grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import bpy
import mathutils

from kiss3d_protocol.batch.manifest import Entry
from kiss3d_protocol.errors import JobUnknown

from ..job import Job
from . import blend_file
from .grid import grid
from .kept import Kept
from .result_options import ResultOptions
from .target import RECIPE_KEY, Target

GAP = 0.25
"""Between two of them, in their largest size."""

SAVE_SECONDS = 120.0
"""What has not been saved when Blender is killed comes from the backend again; a large file takes a while to write."""


class OneBlend:
    """An output (see ``Output`` in commands/runner.py): the open file, which is ``path`` if that was there.

    What else is in the file stays where it is, and the results stand to the right of it.
    """

    save_seconds = SAVE_SECONDS

    def __init__(self, path: Path, size: float, options: ResultOptions, columns: int | None = None) -> None:
        self._path, self._size, self._options, self._columns = path, size, options, columns
        self._names: Sequence[str] = ()
        self._jobs: dict[str, str] = {}
        blend_file.open_or_begin(path)

    def has(self, entry: Entry) -> bool:
        if find_result(entry.job) is None:
            return False
        self._jobs[entry.name] = entry.job
        return True

    def lay_out(self, names: Sequence[str]) -> None:
        self._names = names

    def target(self, job: str, name: str, title: str) -> Target:
        return new_target(job, name, title, self._size, self._options)

    def keep(self, name: str, job: Job) -> Kept:
        thing = job.target.object()
        if thing is None:
            raise JobUnknown(f"The object of '{name}' is not in the scene any more.")
        self._jobs[name] = job.id
        return Kept(self._path.name, len(thing.data.polygons))

    def drop(self, target: Target) -> None:
        drop_collection(target)

    def save(self) -> None:
        self._arrange()
        blend_file.save(self._path)

    def _arrange(self) -> None:
        results = [
            thing for name in self._names if name in self._jobs and (thing := find_result(self._jobs[name])) is not None
        ]
        extents = [(thing.dimensions.x, thing.dimensions.y) for thing in results]
        left = _right_edge(lambda thing: thing not in results and thing.parent not in results)
        gap = GAP * self._size
        places = grid(extents, gap, self._columns, None if left is None else left + gap)
        for thing, (x, y) in zip(results, places, strict=True):
            thing.location = (x, y, 0.0)


def find_result(job: str) -> bpy.types.Object | None:
    """The finished result of a job that is in the open file."""
    for thing in bpy.data.objects:
        recipe = thing.get(RECIPE_KEY)
        if recipe is not None and recipe.get("job") == job and recipe.get("quality") == "final" and thing.users_scene:
            return thing
    return None


def new_target(job: str, name: str, title: str, size: float, options: ResultOptions) -> Target:
    """A target on the scene's origin, in a new collection that is called ``name``."""
    scene = bpy.context.scene
    collection = bpy.data.collections.new(name)
    scene.collection.children.link(collection)
    target = Target.in_scene(job, title, size, scene, collection, (0.0, 0.0, 0.0))
    target.options = options
    return target


def collection_of(target: Target) -> bpy.types.Collection | None:
    """The collection that :func:`new_target` made."""
    return next((one for one in bpy.data.collections if one.session_uid == target.collection_uid), None)


def drop_collection(target: Target) -> None:
    """Takes the collection of a target away when nothing has come into it."""
    collection = collection_of(target)
    if collection is not None and not collection.all_objects:
        bpy.data.collections.remove(collection)


def _right_edge(counts: Callable[[bpy.types.Object], bool]) -> float | None:
    """The largest x of the scene's objects that count and have an extent; None when there is none."""
    bpy.context.view_layer.update()
    edges = [
        (thing.matrix_world @ mathutils.Vector(corner)).x
        for thing in bpy.context.scene.objects
        if counts(thing) and any(thing.dimensions)
        for corner in thing.bound_box
    ]
    return max(edges, default=None)
