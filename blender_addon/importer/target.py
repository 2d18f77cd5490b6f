"""Where the result of a job belongs, remembered by what survives undo, renaming and loading a file.

References to Blender's data go stale with every undo; ``session_uid`` survives undo and renaming, the path of the file
and the name of the scene survive loading the same file again.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy

RECIPE_KEY = "kiss3d"


@dataclass
class Target:
    """``location`` in scene coordinates; ``size`` the longest side in scene units; ``object_uid`` is set once the
    result stands in the scene."""

    job: str
    name: str
    location: tuple[float, float, float]
    size: float
    scene_uid: int
    scene_name: str
    collection_uid: int
    file: str
    object_uid: int | None = None

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
