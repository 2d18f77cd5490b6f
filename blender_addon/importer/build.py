"""All the data of a result, made before anything in the scene is touched."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
from attrs import frozen

from .arrays import MeshArrays
from .material import build_image, build_material, image_of
from .mesh import build_mesh
from .target import Target

MADE_FOR_KEY = "kiss3d_job"
"""The custom property that marks meshes, materials and images as made for a job."""


@frozen
class Parts:
    """The data of a result. None where there is no such part, or where the artist has put an own one."""

    mesh: bpy.types.Mesh | None = None
    material: bpy.types.Material | None = None
    image: bpy.types.Image | None = None
    normals: bpy.types.Image | None = None

    def discard(self) -> None:
        """Removes those that nobody uses."""
        for part in (self.mesh, self.material, self.image, self.normals):
            if part is not None and part.users == 0:
                bpy.data.batch_remove([part])


def parts_of(mesh: bpy.types.Mesh, job: str | None = None) -> Parts:
    """What of a mesh, its material and its images was made for ``job``, or for any."""

    def made(*candidates):
        return next((one for one in candidates if one is not None and _is_made(one, job)), None)

    material = made(*mesh.materials)
    return Parts(made(mesh), material, made(image_of(material)), made(image_of(material, is_colour=False)))


def _is_made(part: bpy.types.ID, job: str | None) -> bool:
    owner = part.get(MADE_FOR_KEY)
    return owner is not None if job is None else owner == job


def build(target: Target, arrays: MeshArrays, worn: Sequence[bpy.types.Material] = ()) -> Parts:
    """New data, unused: the mesh with the materials ``worn``, or with a new one. A failure leaves nothing behind."""
    built: list[bpy.types.ID] = []

    def marked(new):
        built.append(new)
        new[MADE_FOR_KEY] = target.job
        return new

    try:
        mesh = marked(build_mesh(arrays, target.name))
        image = normals = material = None
        if not worn:
            if arrays.texture is not None:
                image = marked(build_image(arrays.texture, target.name))
            if arrays.normal_map is not None:
                normals = marked(build_image(arrays.normal_map, f"{target.name} normals", is_colour=False))
            material = marked(build_material(image, normals, arrays.colours is not None, target.name))
        for slot in worn or [material]:
            mesh.materials.append(slot)
    except BaseException:
        bpy.data.batch_remove(built)
        raise
    return Parts(mesh, material, image, normals)
