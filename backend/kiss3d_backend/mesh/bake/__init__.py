"""Textures baked from views and from a finer mesh."""
