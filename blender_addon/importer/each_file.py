"""Results that get a file each: GLB or .blend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import bpy

from kiss3d_protocol.batch.manifest import Entry
from kiss3d_protocol.errors import JobUnknown, OutputUnwritable

from ..job import Job
from . import blend_file, place
from .build import parts_of
from .kept import Kept
from .one_blend import collection_of, drop_collection, new_target
from .result_options import ResultOptions
from .target import Target


class EachFile:
    """An output (see ``Output`` in commands/runner.py): ``folder/NAME.FORMAT`` for the result NAME. Each leaves Blender
    again when it is written, so that a thousand of them need no more memory than one.

    ``known``: what the folder's manifest tells. A .blend that no job of it has made is left alone.
    """

    save_seconds = 0.0

    def __init__(
        self, folder: Path, format: str, size: float, options: ResultOptions, known: Mapping[str, Entry]
    ) -> None:
        self._folder, self._format, self._size, self._options = folder, format, size, options
        self._known = known
        blend_file.begin_empty()

    def has(self, entry: Entry) -> bool:
        return entry.output == self._file_of(entry.name) and (self._folder / entry.output).is_file()

    def lay_out(self, names: Sequence[str]) -> None:
        """Each stands on the origin of its own file."""

    def target(self, job: str, name: str, title: str) -> Target:
        file, entry = self._folder / self._file_of(name), self._known.get(name)
        if self._format == "blend" and file.exists() and not (entry is not None and entry.job):
            raise OutputUnwritable(f"'{file}' is there already, and is not of this batch.")
        return new_target(job, name, title, self._size, self._options)

    def keep(self, name: str, job: Job) -> Kept:
        thing, collection = job.target.object(), collection_of(job.target)
        if thing is None or collection is None:
            raise JobUnknown(f"The object of '{name}' is not in the scene any more.")
        triangles, file = len(thing.data.polygons), self._file_of(name)
        try:
            if self._format == "blend":
                blend_file.save_alone(self._folder / file, collection)
            else:
                place.select(job.target)
                blend_file.save_glb(self._folder / file)
        finally:
            _discard(collection)
        return Kept(file, triangles)

    def drop(self, target: Target) -> None:
        drop_collection(target)

    def save(self) -> None:
        """Nothing is left to do: :meth:`keep` has written it."""

    def _file_of(self, name: str) -> str:
        return f"{name}.{self._format}"


def _discard(collection: bpy.types.Collection) -> None:
    """Takes a collection out of Blender, with all that is in it and was made for it."""
    things = list(collection.all_objects)
    # Levels of detail share the mesh.
    made = [parts_of(mesh) for mesh in {thing.data for thing in things}]
    bpy.data.batch_remove([*things, *collection.children_recursive, collection])
    for parts in made:
        parts.discard()
