"""Meshes from the wire into the scene: the only part of the add-on that writes to bpy.data."""
