"""A picture of the selected objects alone, as the viewport or the camera sees them, on white."""

from __future__ import annotations

import bpy
import numpy as np

from kiss3d_protocol.errors import ParamsInvalid, PictureUnreadable

from ..importer.scratch import Look, render_alone
from .framing import frame
from .picture import Picture
from .png import encode_png

SIZE = 1024
"""Pixels on a side: what the networks see is no larger."""

_RENDERED = {"MATERIAL", "RENDERED"}


def hindrance(context: bpy.types.Context, *, from_camera: bool) -> str:
    """Why there is nothing to be taken now; empty when there is."""
    if from_camera and (context.scene.camera is None or context.scene.camera.type != "CAMERA"):
        return "Add a camera to the scene first"
    if not from_camera and _view(context) is None:
        return "Do this in a 3D View"
    if not _subjects(context):
        return "Select objects that are visible in renders first"
    if bpy.app.is_job_running("RENDER"):
        return "Wait until the render has finished"
    return ""


def take_snapshot(context: bpy.types.Context, *, from_camera: bool) -> Picture:
    """A square PNG with the selected objects as large as they can be; where there is nothing it is white and
    transparent, so that nobody has to guess where the object ends.

    It looks as the viewport does: Workbench for a solid one, EEVEE in white light for the others; Workbench with
    textures where there is no viewport. The scene and its settings stay as they are. Raises :class:`ParamsInvalid` when
    the objects reach behind the eye, or :class:`PictureUnreadable` when nothing of them is to be seen.
    """
    why = hindrance(context, from_camera=from_camera)
    if why:
        raise ParamsInvalid(f"There is no picture to take. {why}.", "")
    view = _view(context)
    if from_camera or view.region_3d.view_perspective == "CAMERA":
        matrix, perspective = _camera(context)
    else:
        matrix, perspective = view.region_3d.view_matrix.inverted(), view.region_3d.is_perspective
    subjects = _subjects(context)
    shown = frame(_points(context, subjects, matrix), perspective=perspective)
    pixels = render_alone(subjects, matrix, shown, _look(view), SIZE)
    if not pixels[..., 3].any():
        raise PictureUnreadable("Nothing of the selected objects is to be seen.", "Select others, or turn the view.")
    pixels[pixels[..., 3] == 0] = (255, 255, 255, 0)
    return Picture(encode_png(pixels), "image/png", _name(context, subjects), SIZE, SIZE)


def _view(context):
    space = context.space_data
    return space if space is not None and space.type == "VIEW_3D" else None


def _subjects(context) -> list[bpy.types.Object]:
    return [one for one in context.selected_objects if not one.hide_render and one.type not in {"CAMERA", "LIGHT"}]


def _name(context, subjects) -> str:
    active = context.view_layer.objects.active
    return active.name if active in subjects else subjects[0].name


def _camera(context):
    camera = context.scene.camera.evaluated_get(context.evaluated_depsgraph_get())
    if camera.data.type == "PANO":
        raise ParamsInvalid("A panoramic camera sees no plain picture.", "Make the camera perspective or orthographic.")
    location, rotation, _ = camera.matrix_world.decompose()
    matrix = rotation.to_matrix().to_4x4()
    matrix.translation = location
    return matrix, camera.data.type == "PERSP"


def _points(context, subjects, matrix) -> np.ndarray:
    """The corners of the objects' boxes in the frame of the eye, (N, 3)."""
    depsgraph = context.evaluated_depsgraph_get()
    towards_eye = np.array(matrix.inverted())
    corners = []
    for subject in subjects:
        seen = subject.evaluated_get(depsgraph)
        box = np.array([corner[:] for corner in seen.bound_box])
        if np.ptp(box, axis=0).any():
            world = towards_eye @ np.array(seen.matrix_world)
            corners.append(box @ world[:3, :3].T + world[:3, 3])
    return np.concatenate(corners) if corners else np.empty((0, 3))


def _look(view) -> Look:
    if view is None:
        return Look()
    shading = view.shading
    if shading.type in _RENDERED:
        return Look(with_materials=True)
    return Look(shading.light, shading.color_type, tuple(shading.single_color))
