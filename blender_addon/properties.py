"""What the panel asks for, kept with each scene."""

import bpy

from kiss3d_protocol.params import DEFAULT_PRESET, MAX_BUNDLES, MAX_PROMPT, PRESETS

from . import blender_session, preferences
from .capture.datablock import is_still_picture
from .history import Kiss3DHistoryEntry
from .result_settings import Kiss3DResultSettings
from .sources import SOURCES
from .translations import OWN_CONTEXT, tr
from .translations.errors import in_language

LARGEST_SEED = 2**31 - 1
"""Blender's integers have 32 bits with a sign; the scripting API takes the protocol's full range."""

_items: list[tuple[str, str, str, str, int]] = []
"""Blender does not keep the texts of enum items alive: somebody has to."""


def _presets(self, context):
    view = _current_view(context)
    items = []
    for number, preset in enumerate(PRESETS):
        offer = view.offer(preset.name) if view is not None else None
        if offer is not None and not offer.offered:
            title = tr("{preset} (not available)", preset=tr(preset.title))
            items.append((preset.name, title, in_language(offer.reason), "ERROR", number))
        else:
            items.append((preset.name, preset.title, preset.description, "NONE", number))
    if items != _items:
        _items[:] = items
    return _items


def _current_view(context):
    try:
        monitor = blender_session.monitor()
        connection = monitor.connections.get(preferences.get(context).backend_target())
    except (RuntimeError, KeyError, AttributeError):
        return None  # Blender asks for the items before the add-on is fully there, and after it has gone.
    return connection.view if connection is not None else None


def _is_still_picture(self, image):
    return is_still_picture(image)


class Kiss3DSceneSettings(bpy.types.PropertyGroup):
    source: bpy.props.EnumProperty(
        name="From",
        description="What the object is made of",
        items=[
            (name, source.title, source.description, source.icon, number)
            for number, (name, source) in enumerate(SOURCES.items())
        ],
        default="FILE",
    )
    filepath: bpy.props.StringProperty(
        name="File",
        description="The picture of one object, or the bundle: PNG, JPEG, WebP, TIFF, BMP or GIF",
        subtype="FILE_PATH",
    )
    view_front: bpy.props.StringProperty(
        name="Front", description="The picture of the object from the front (-Y)", subtype="FILE_PATH"
    )
    view_right: bpy.props.StringProperty(
        name="Right",
        description="The picture of the object from +X, the right of the front view",
        subtype="FILE_PATH",
    )
    view_back: bpy.props.StringProperty(
        name="Back", description="The picture of the object from behind (+Y)", subtype="FILE_PATH"
    )
    view_left: bpy.props.StringProperty(
        name="Left",
        description="The picture of the object from -X, the left of the front view",
        subtype="FILE_PATH",
    )
    prompt: bpy.props.StringProperty(
        name="Prompt",
        translation_context=OWN_CONTEXT,
        description="What the object is, in words. Needed where there is no picture and no mesh, else left to you",
        maxlen=MAX_PROMPT,
    )
    image: bpy.props.PointerProperty(
        name="Image",
        description="The picture of one object, with its painted changes",
        type=bpy.types.Image,
        poll=_is_still_picture,
    )
    preset: bpy.props.EnumProperty(
        name="Preset",
        description="How much work is put into the mesh",
        items=_presets,
        default=next(number for number, preset in enumerate(PRESETS) if preset.name == DEFAULT_PRESET),
    )
    seed: bpy.props.IntProperty(
        name="Seed",
        description="Another seed gives another variation; the same one gives the same mesh again",
        min=0,
        max=LARGEST_SEED,
        default=0,
    )
    bundles: bpy.props.IntProperty(
        name="Choose from",
        description="How many bundles are drawn for you to choose from before the object is made of one",
        min=1,
        max=MAX_BUNDLES,
        default=1,
    )
    size: bpy.props.FloatProperty(
        name="Size",
        description="Length of the longest side of the new object",
        min=0.001,
        soft_max=100.0,
        default=2.0,
        subtype="DISTANCE",
    )
    result: bpy.props.PointerProperty(type=Kiss3DResultSettings)
    history: bpy.props.CollectionProperty(type=Kiss3DHistoryEntry)
    history_index: bpy.props.IntProperty(name="History", description="The chosen result of this scene's history", min=0)


def register():
    bpy.types.Scene.kiss3d = bpy.props.PointerProperty(type=Kiss3DSceneSettings)


def unregister():
    del bpy.types.Scene.kiss3d
