"""Levels of detail: the same mesh with fewer faces, in a collection of their own."""

from __future__ import annotations

import bpy


def make_lods(source: bpy.types.Object, count: int, collection: bpy.types.Collection) -> bpy.types.Collection | None:
    """A hidden collection inside ``collection`` with ``count`` objects NAME_LOD1 and so on, each with half the faces of
    the one before; None when ``count`` is 0.

    They share the mesh and follow the object: a Decimate modifier takes the faces away, so nothing is stored twice, and
    a level can be changed or applied later.
    """
    if not count:
        return None
    levels = bpy.data.collections.new(f"{source.name} LODs")
    collection.children.link(levels)
    levels.hide_viewport = levels.hide_render = True
    for level in range(1, count + 1):
        lod = bpy.data.objects.new(f"{source.name}_LOD{level}", source.data)
        lod.parent = source
        fewer = lod.modifiers.new("Decimate", "DECIMATE")
        fewer.ratio = 0.5**level
        levels.objects.link(lod)
    return levels
