"""``kiss3d batch``: many pictures or prompts to a folder of GLBs, resumed after whatever happens."""
