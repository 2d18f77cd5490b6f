"""What a job can be made of: for each source, what is missing and how it is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
from attrs import frozen

from kiss3d_protocol.errors import ParamsInvalid

from .capture import clipboard, render_result, snapshot
from .capture.datablock import is_still_picture, picture_from_image
from .capture.mesh import mesh_from_object
from .capture.picture import Picture, picture_from_file
from .job_inputs import JobInputs, name_of_prompt

VIEWS = ("view_front", "view_right", "view_back", "view_left")
"""The settings with the four views, in the order in which they are sent."""


@frozen
class Source:
    """``hindrance`` says what is missing, shortly, empty when nothing is; ``take`` copies the inputs as they are now,
    and raises a :class:`Kiss3DError`. Neither changes anything."""

    title: str
    description: str
    icon: str
    hindrance: Callable[[bpy.types.Context], str]
    take: Callable[[bpy.types.Context], JobInputs]
    takes_prompt: bool = True
    """Whether words may go with it."""


def file_inputs(path: str) -> JobInputs:
    """The picture at a path that may be relative to the .blend. Raises a :class:`PictureError`."""
    return _of(_file(path))


def image_inputs(image: bpy.types.Image) -> JobInputs:
    """What an image of the .blend shows. Raises a :class:`PictureError`."""
    return _of(picture_from_image(image))


def mesh_inputs(source: bpy.types.Object) -> JobInputs:
    """A mesh object as it is seen. Raises what :func:`mesh_from_object` raises."""
    captured = mesh_from_object(source)
    return JobInputs(captured.name, mesh=captured)


def chosen_mesh(context: bpy.types.Context) -> bpy.types.Object | None:
    """The object to be enhanced: the active one, if it is a selected mesh."""
    active = context.view_layer.objects.active
    return active if active is not None and active.type == "MESH" and active.select_get() else None


def _of(picture: Picture) -> JobInputs:
    return JobInputs(picture.name, picture)


def _file(path: str) -> Picture:
    return picture_from_file(Path(bpy.path.abspath(path)))


def _no_file(context) -> str:
    return "" if context.scene.kiss3d.filepath else "Choose a picture file first"


def _no_image(context) -> str:
    return "" if context.scene.kiss3d.image is not None else "Choose an image first"


def _no_prompt(context) -> str:
    return "" if context.scene.kiss3d.prompt.strip() else "Describe the object in words first"


def _no_mesh(context) -> str:
    return "" if chosen_mesh(context) is not None else "Select a mesh object first"


def _no_views(context) -> str:
    settings = context.scene.kiss3d
    return "" if all(getattr(settings, view) for view in VIEWS) else "Choose all four pictures first"


def _take_text(context) -> JobInputs:
    return JobInputs(name_of_prompt(context.scene.kiss3d.prompt))


def _take_mesh(context) -> JobInputs:
    source = chosen_mesh(context)
    if source is None:
        raise ParamsInvalid("No mesh object is selected.", "Select the object that is to be enhanced.")
    return mesh_inputs(source)


def _take_views(context) -> JobInputs:
    views = tuple(_file(getattr(context.scene.kiss3d, view)) for view in VIEWS)
    return JobInputs(views[0].name, views=views)


def _take_bundle(context) -> JobInputs:
    bundle = _file(context.scene.kiss3d.filepath)
    return JobInputs(bundle.name, views=(bundle,))


def source_of_image(image: bpy.types.Image) -> str:
    """The source that an image in an editor stands for: the last render, or the image itself."""
    return "RENDER" if image.type == "RENDER_RESULT" else "IMAGE" if is_still_picture(image) else ""


SOURCES: dict[str, Source] = {
    "FILE": Source(
        "Picture File",
        "A picture file on this computer",
        "FILE_IMAGE",
        _no_file,
        lambda context: file_inputs(context.scene.kiss3d.filepath),
    ),
    "IMAGE": Source(
        "Image",
        "An image that is in this .blend file, with its painted changes",
        "IMAGE_DATA",
        _no_image,
        lambda context: image_inputs(context.scene.kiss3d.image),
    ),
    "CLIPBOARD": Source(
        "Clipboard",
        "The picture in the clipboard, or the file whose path is in it",
        "PASTEDOWN",
        clipboard.hindrance,
        lambda context: _of(clipboard.picture_from_clipboard(context)),
    ),
    "RENDER": Source(
        "Render Result",
        "The last render of this scene",
        "RENDER_RESULT",
        render_result.hindrance,
        lambda context: _of(render_result.picture_of_render(context.scene)),
    ),
    "VIEWPORT": Source(
        "Viewport Snapshot",
        "A picture of the selected objects alone, on white, as this viewport shows them",
        "RESTRICT_VIEW_OFF",
        lambda context: snapshot.hindrance(context, from_camera=False),
        lambda context: _of(snapshot.take_snapshot(context, from_camera=False)),
    ),
    "CAMERA": Source(
        "Camera Snapshot",
        "A picture of the selected objects alone, on white, as the scene's camera sees them",
        "OUTLINER_OB_CAMERA",
        lambda context: snapshot.hindrance(context, from_camera=True),
        lambda context: _of(snapshot.take_snapshot(context, from_camera=True)),
    ),
    "TEXT": Source("Text", "A description in words", "TEXT", _no_prompt, _take_text),
    "MESH": Source(
        "Selected Mesh",
        "The active mesh object as it is seen, to be enhanced or restyled",
        "MESH_DATA",
        _no_mesh,
        _take_mesh,
    ),
    "VIEWS": Source(
        "Four Pictures",
        "Four pictures of one object: front, right, back and left",
        "IMGDISPLAY",
        _no_views,
        _take_views,
        takes_prompt=False,
    ),
    "BUNDLE": Source(
        "Bundle",
        "A finished bundle picture: four views, and below them their normals",
        "RENDERLAYERS",
        _no_file,
        _take_bundle,
        takes_prompt=False,
    ),
}
"""Every source, by the name that the panel's setting has for it."""
