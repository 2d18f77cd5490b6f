"""Where the result of a job belongs, remembered by what survives undo, renaming and loading a file.

References to Blender's data go stale with every undo; ``session_uid`` survives undo and renaming, the path of the file
and the name of the scene survive loading the same file again.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import bpy
import mathutils
import numpy as np

from kiss3d_protocol.errors import ParamsInvalid

from ..capture.arrays import CapturedMesh
from ..capture.picture import Picture
from .arrays import MeshArrays
from .fit import Fit, beside, fit_of
from .result_options import ResultOptions

RECIPE_KEY = "kiss3d"


@dataclass
class Target:
    """``location`` in scene coordinates; ``size`` the longest side in scene units; ``object_uid`` is set once the
    result stands in the scene.

    ``fit``: the result stands as another object does, not upright at ``location``. ``replaces``: the id of the object
    that gets the finished mesh; ``held`` is that mesh until then. ``pictures``: what it is made of, by slots;
    ``preview``: an encoded picture of the result, where there is one and nothing of the former.
    """

    job: str
    name: str
    location: tuple[float, float, float]
    size: float
    scene_uid: int
    scene_name: str
    collection_uid: int
    file: str
    object_uid: int | None = None
    fit: Fit | None = None
    replaces: int | None = None
    held: MeshArrays | None = None
    options: ResultOptions = field(default_factory=ResultOptions)
    pictures: dict[str, Picture] = field(default_factory=dict)
    preview: bytes | None = None

    @classmethod
    def in_scene(
        cls,
        job: str,
        name: str,
        size: float,
        scene: bpy.types.Scene,
        collection: bpy.types.Collection | None,
        location: tuple[float, float, float] | None = None,
    ) -> Target:
        """The target for a result at ``location``, or at the scene's 3D cursor as it is now."""
        return cls(
            job,
            name,
            tuple(scene.cursor.location if location is None else location),
            size,
            scene.session_uid,
            scene.name,
            (collection or scene.collection).session_uid,
            bpy.data.filepath,
        )

    @classmethod
    def at_object(
        cls, job: str, source: bpy.types.Object, sent: CapturedMesh, scene: bpy.types.Scene, *, in_place: bool
    ) -> Target:
        """The target for a result made of ``source``: beside it, turned and scaled as it is, or in place of its mesh.

        Raises :class:`ParamsInvalid` for an object that cannot be changed, or is scaled to nothing.
        """
        if in_place and (source.library is not None or source.data.library is not None):
            raise ParamsInvalid(
                f"'{source.name}' is linked from another file, where its mesh cannot be replaced.",
                "Make it local, or let the result come beside it.",
            )
        matrix = source.matrix_world
        if not in_place:
            # An object by itself has no shear, which one with turned and scaled parents may have.
            matrix = mathutils.Matrix.LocRotScale(*matrix.decompose())
        fit = fit_of(sent, np.array(matrix, np.float64))
        collection = next((one for one in source.users_collection if one in scene.collection.children_recursive), None)
        fit = fit if in_place else beside(fit, sent)
        location = mathutils.Matrix(fit.matrix).translation
        target = cls.in_scene(job, source.name, fit.size, scene, collection, location)
        target.fit = fit
        target.replaces = source.session_uid if in_place else None
        return target

    def again(self, job: str) -> Target:
        """The target for the result of another job that is made of the same, at the same place."""
        return replace(self, job=job, object_uid=None, held=None)

    def stand_at(self, location: tuple[float, float, float]) -> None:
        """Lets the result stand somewhere else, as an object of its own."""
        self.location, self.replaces = location, None
        if self.fit is not None:
            self.fit = self.fit.moved_to(location)

    def move_to(self, scene: bpy.types.Scene, collection: bpy.types.Collection | None) -> None:
        """Lets the result come into another scene, as when its own is gone."""
        self.scene_uid, self.scene_name = scene.session_uid, scene.name
        self.collection_uid = (collection or scene.collection).session_uid
        self.file = bpy.data.filepath

    def scene(self) -> bpy.types.Scene | None:
        """The scene, also after its file was loaded again; None when it is gone."""
        for scene in bpy.data.scenes:
            if scene.session_uid == self.scene_uid:
                return scene
        if self.file and self.file == bpy.data.filepath:
            return bpy.data.scenes.get(self.scene_name)
        return None

    def collection(self, scene: bpy.types.Scene) -> bpy.types.Collection:
        """The collection that was active, if it is still in the scene and can take objects; else the scene's own."""
        for collection in scene.collection.children_recursive:
            if collection.session_uid == self.collection_uid and collection.library is None:
                return collection
        return scene.collection

    def replaced(self) -> bpy.types.Object | None:
        """The object that the finished mesh is for, None when there is none or it is gone."""
        if self.replaces is None:
            return None
        candidates = (one for one in bpy.data.objects if one.type == "MESH" and one.users_scene)
        return next((one for one in candidates if one.session_uid == self.replaces), None)

    def object(self) -> bpy.types.Object | None:
        """The object that holds the result, whatever it is called now; None when it is gone."""
        found = None
        for candidate in bpy.data.objects:
            if candidate.type != "MESH" or not candidate.users_scene:
                continue
            if candidate.session_uid == self.object_uid:
                return candidate
            recipe = candidate.get(RECIPE_KEY)
            if found is None and recipe is not None and recipe.get("job") == self.job:
                found = candidate
        return found
