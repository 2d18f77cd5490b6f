"""``blender --command kiss3d``: what is made and imported without a window, and how its options are read."""
