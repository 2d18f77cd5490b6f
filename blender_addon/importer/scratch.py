"""Data that is there for a moment, to get at pixels, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import bpy
import mathutils
import numpy as np
import numpy.typing as npt
from attrs import frozen

from ..capture.framing import SENSOR_WIDTH, Frame

EEVEE_SAMPLES = 16


@frozen
class Look:
    """How a picture is lit and coloured: as Workbench's shading of these names, or ``with_materials`` by EEVEE, in
    white light from everywhere. ``single_colour``: linear RGB."""

    light: str = "STUDIO"
    colour_type: str = "TEXTURE"
    single_colour: tuple[float, float, float] = (0.8, 0.8, 0.8)
    with_materials: bool = False


def render_alone(
    subjects: Sequence[bpy.types.Object], matrix, shown: Frame, look: Look, size: int
) -> npt.NDArray[np.uint8]:
    """Only ``subjects``, from an eye at ``matrix``, as uint8 (size, size, 4), straight alpha, row 0 at the top.

    They are rendered in a scene of their own, which is gone afterwards.
    """
    rendered_before = {image.session_uid for image in bpy.data.images if image.type == "RENDER_RESULT"}
    made: list[bpy.types.ID] = []
    scene = bpy.data.scenes.new("Kiss3D snapshot")
    try:
        scene.camera = _camera(matrix, shown, made)
        for one in (scene.camera, *subjects):
            scene.collection.objects.link(one)
        scene.world = _white_world(made)
        _set_up(scene, look, size)
        with tempfile.TemporaryDirectory(prefix="kiss3d-", dir=bpy.app.tempdir) as folder:
            path = Path(folder) / "snapshot.png"
            scene.render.filepath = str(path)
            bpy.ops.render.render(write_still=True, scene=scene.name)
            return _pixels(path)
    finally:
        bpy.data.scenes.remove(scene)
        results = [image for image in bpy.data.images if image.type == "RENDER_RESULT"]
        made += [image for image in results if image.session_uid not in rendered_before]
        bpy.data.batch_remove(made)


@contextlib.contextmanager
def newest_image(known: set[int]) -> Iterator[bpy.types.Image | None]:
    """The image that is not among those with the ids ``known``, or None; it is removed at the end."""
    image = next((one for one in bpy.data.images if one.session_uid not in known), None)
    try:
        yield image
    finally:
        if image is not None:
            bpy.data.images.remove(image)


def _camera(matrix, shown: Frame, made: list[bpy.types.ID]) -> bpy.types.Object:
    data = bpy.data.cameras.new("Kiss3D snapshot")
    made.append(data)
    eye = bpy.data.objects.new("Kiss3D snapshot", data)
    made.append(eye)
    eye.matrix_world = matrix @ mathutils.Matrix.Translation((0.0, 0.0, shown.back))
    data.sensor_width = SENSOR_WIDTH
    data.clip_start, data.clip_end = shown.near, shown.far
    data.shift_x, data.shift_y = shown.shift_x, shown.shift_y
    if shown.lens is None:
        data.type, data.ortho_scale = "ORTHO", shown.ortho_scale
    else:
        data.lens = shown.lens
    return eye


def _white_world(made: list[bpy.types.ID]) -> bpy.types.World:
    world = bpy.data.worlds.new("Kiss3D snapshot")
    made.append(world)
    if world.node_tree is None:  # always there from Blender 5.0
        world.use_nodes = True
    background = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    background.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    return world


def _set_up(scene: bpy.types.Scene, look: Look, size: int) -> None:
    render = scene.render
    render.engine = _eevee() if look.with_materials else "BLENDER_WORKBENCH"
    render.resolution_x = render.resolution_y = size
    render.resolution_percentage = 100
    render.film_transparent = True
    render.use_compositing = render.use_sequencer = False
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGBA"
    # A view transform for photographs would make the colours of the texture duller with every round.
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.eevee.taa_render_samples = EEVEE_SAMPLES
    shading = scene.display.shading
    shading.light, shading.color_type = look.light, look.colour_type
    shading.single_color = look.single_colour


def _eevee() -> str:
    engines = bpy.types.RenderSettings.bl_rna.properties["engine"].enum_items
    return next(name for name in ("BLENDER_EEVEE", "BLENDER_EEVEE_NEXT") if name in engines)


def _pixels(path: Path) -> npt.NDArray[np.uint8]:
    image = bpy.data.images.load(str(path))
    try:
        width, height = image.size
        values = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(values)
    finally:
        bpy.data.images.remove(image)
    # Blender's first row is the lowest.
    return (np.clip(values.reshape(height, width, 4)[::-1], 0, 1) * 255 + 0.5).astype(np.uint8)
