"""A batch, as ``kiss3d batch`` and Blender's ``--command kiss3d batch`` read and remember it: rows and manifest."""
