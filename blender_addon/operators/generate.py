"""Generate 3D: from what the panel shows, or from one source for menus, shortcuts and drops."""

from __future__ import annotations

from pathlib import Path

import bpy

from .. import sources
from ..sources import SOURCES
from ..translations import OWN_CONTEXT
from ..translations.errors import in_language
from . import submitting


class _Generate:
    """An operator that makes a job of one source; the panel's settings say the rest."""

    bl_options = {"REGISTER"}
    source = ""

    @classmethod
    def poll(cls, context):
        if context.scene is None:
            return False
        hindrance = cls.hindrance(context)
        if hindrance:
            cls.poll_message_set(in_language(hindrance))
        return not hindrance

    @classmethod
    def hindrance(cls, context) -> str:
        source = cls.source or context.scene.kiss3d.source
        return SOURCES[source].hindrance(context) or submitting.preset_hindrance(context)

    def execute(self, context):
        return submitting.submit(self, context, lambda: [self.request(context)])

    def request(self, context) -> submitting.Request:
        settings = context.scene.kiss3d
        name = self.source or settings.source
        source = SOURCES[name]
        inputs = source.take(context)
        params = submitting.chosen_params(context, settings.prompt if source.takes_prompt else "")
        if name != "MESH":
            return submitting.request(context, inputs, params, settings.size)
        in_place = settings.result.mesh_place == "IN_PLACE"
        return submitting.request_at(context, sources.chosen_mesh(context), inputs, params, in_place=in_place)


class KISS3D_OT_generate(_Generate, bpy.types.Operator):
    """Make a textured object from what is chosen above. It appears first coarse, then finished"""

    bl_idname = "kiss3d.generate"
    bl_label = "Generate 3D"


class KISS3D_OT_generate_from_clipboard(_Generate, bpy.types.Operator):
    """Make a textured object from the picture in the clipboard, or from the file whose path is in it"""

    bl_idname = "kiss3d.generate_from_clipboard"
    bl_label = "Generate 3D from Clipboard"
    source = "CLIPBOARD"


class KISS3D_OT_generate_from_render(_Generate, bpy.types.Operator):
    """Make a textured object from the last render of this scene"""

    bl_idname = "kiss3d.generate_from_render"
    bl_label = "Generate 3D from Render"
    source = "RENDER"


class KISS3D_OT_generate_from_viewport(_Generate, bpy.types.Operator):
    """Make a textured object from a picture of the selected objects, as this viewport shows them"""

    bl_idname = "kiss3d.generate_from_viewport"
    bl_label = "Generate 3D from Viewport"
    source = "VIEWPORT"


class KISS3D_OT_generate_from_camera(_Generate, bpy.types.Operator):
    """Make a textured object from a picture of the selected objects, as the scene's camera sees them"""

    bl_idname = "kiss3d.generate_from_camera"
    bl_label = "Generate 3D from Camera"
    source = "CAMERA"


class KISS3D_OT_generate_from_image(_Generate, bpy.types.Operator):
    """Make a textured object from the image in this editor"""

    bl_idname = "kiss3d.generate_from_image"
    bl_label = "Generate 3D from Image"

    @classmethod
    def hindrance(cls, context) -> str:
        image = getattr(context.space_data, "image", None)
        if image is None:
            return "Open an image in this editor first"
        match sources.source_of_image(image):
            case "RENDER":
                return SOURCES["RENDER"].hindrance(context) or submitting.preset_hindrance(context)
            case "IMAGE":
                return submitting.preset_hindrance(context)
        return "A movie or a sequence is not one picture"

    def request(self, context) -> submitting.Request:
        image = context.space_data.image
        settings = context.scene.kiss3d
        rendered = sources.source_of_image(image) == "RENDER"
        inputs = SOURCES["RENDER"].take(context) if rendered else sources.image_inputs(image)
        return submitting.request(context, inputs, submitting.chosen_params(context, settings.prompt), settings.size)


class KISS3D_OT_generate_from_files(_Generate, bpy.types.Operator):
    """Make a textured object from each of the pictures"""

    bl_idname = "kiss3d.generate_from_files"
    bl_label = "Generate 3D from Pictures"

    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    filter_image: bpy.props.BoolProperty(default=True, options={"SKIP_SAVE", "HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"SKIP_SAVE", "HIDDEN"})

    @classmethod
    def hindrance(cls, context) -> str:
        return submitting.preset_hindrance(context)

    def invoke(self, context, event):
        if self.files:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        return submitting.submit(self, context, lambda: self._requests(context))

    def _requests(self, context) -> list[submitting.Request]:
        # What is written in the panel is about the picture that is chosen there, not about these.
        params = submitting.chosen_params(context, "")
        paths = [str(Path(self.directory, file.name)) for file in self.files]
        size = context.scene.kiss3d.size
        return [submitting.request(context, sources.file_inputs(path), params, size) for path in paths]


class KISS3D_OT_enhance(_Generate, bpy.types.Operator):
    """Make a finer or another object of the selected mesh, guided by words"""

    bl_idname = "kiss3d.enhance"
    bl_label = "Enhance with Kiss3D"

    prompt: bpy.props.StringProperty(
        name="Prompt",
        translation_context=OWN_CONTEXT,
        description="What the object is to become; empty to let the backend describe the mesh",
        options={"SKIP_SAVE"},
    )
    place: bpy.props.EnumProperty(
        name="Place",
        description="Where the result comes",
        items=(
            ("BESIDE", "Beside", "A new object to the right of the selected one, turned and scaled as it is"),
            ("IN_PLACE", "In Place", "The selected object gets the new mesh, when it is finished"),
        ),
        default="BESIDE",
    )
    source = "MESH"

    def invoke(self, context, event):
        self.prompt = self.prompt or context.scene.kiss3d.prompt
        return context.window_manager.invoke_props_dialog(self)

    def request(self, context) -> submitting.Request:
        inputs = SOURCES["MESH"].take(context)
        params = submitting.chosen_params(context, self.prompt)
        in_place = self.place == "IN_PLACE"
        return submitting.request_at(context, sources.chosen_mesh(context), inputs, params, in_place=in_place)


class KISS3D_FH_picture(bpy.types.FileHandler):
    """Pictures that are dropped into a 3D View."""

    bl_idname = "KISS3D_FH_picture"
    bl_label = "Generate 3D with Kiss3D"
    bl_import_operator = KISS3D_OT_generate_from_files.bl_idname
    bl_file_extensions = ".png;.jpg;.jpeg;.webp;.tif;.tiff;.bmp;.gif"

    @classmethod
    def poll_drop(cls, context):
        return context.area is not None and context.area.type == "VIEW_3D"


CLASSES = (
    KISS3D_OT_generate,
    KISS3D_OT_generate_from_clipboard,
    KISS3D_OT_generate_from_render,
    KISS3D_OT_generate_from_viewport,
    KISS3D_OT_generate_from_camera,
    KISS3D_OT_generate_from_image,
    KISS3D_OT_generate_from_files,
    KISS3D_OT_enhance,
    KISS3D_FH_picture,
)
