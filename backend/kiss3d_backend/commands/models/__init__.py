"""``kiss3d models``: the files that the presets need, one command a file."""
