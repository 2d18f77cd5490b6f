"""What a preset is called (no bpy)."""

from kiss3d_protocol.params import PRESETS


def title_of(name: str) -> str:
    """The title of a preset of this version, or the name itself."""
    return next((preset.title for preset in PRESETS if preset.name == name), name)
