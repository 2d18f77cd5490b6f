"""What the panel asks for about the result: where it comes, how large and how fine it is, what is made of it."""

import bpy

from kiss3d_protocol.params import FACES_RANGE, TEXTURE_SIZES

from .importer.result_options import MAX_LODS, ResultOptions, split_tags


class Kiss3DResultSettings(bpy.types.PropertyGroup):
    place: bpy.props.EnumProperty(
        name="Place",
        description="Where the new object comes. One that is made of a selected mesh comes beside it, or in its place",
        items=(
            ("CURSOR", "3D Cursor", "The object stands on the 3D cursor"),
            ("VIEW", "View Center", "The object stands where this viewport looks at"),
        ),
        default="CURSOR",
    )
    mesh_place: bpy.props.EnumProperty(
        name="Place",
        description="Where the result comes that is made of the selected mesh",
        items=(
            ("BESIDE", "Beside", "A new object to the right of the selected one, turned and scaled as it is"),
            (
                "IN_PLACE",
                "In Place",
                "The selected object gets the new mesh, when it is finished. It keeps its transform, name and "
                "collections; its modifiers are applied",
            ),
        ),
        default="BESIDE",
    )
    use_faces: bpy.props.BoolProperty(
        name="Limit Faces",
        description="Have the mesh decimated before its texture is made; else the preset decides",
    )
    faces: bpy.props.IntProperty(
        name="Faces",
        description="How many triangles the result has at most",
        min=FACES_RANGE[0],
        max=FACES_RANGE[1],
        default=20_000,
    )
    texture_size: bpy.props.EnumProperty(
        name="Texture",
        description="Width and height of the texture and the normal map",
        items=(
            ("PRESET", "As the Preset", "The preset decides"),
            *((str(size), f"{size} px", f"{size} x {size} pixels") for size in TEXTURE_SIZES),
        ),
        default="PRESET",
    )
    lods: bpy.props.IntProperty(
        name="Levels of Detail",
        description="Objects with a half, a quarter ... of the faces, in a hidden collection beside the result",
        min=0,
        max=MAX_LODS,
        default=0,
    )
    mark_asset: bpy.props.BoolProperty(
        name="Mark as Asset",
        description="Show the result in the Asset Browser, with the picture that it was made of",
    )
    tags: bpy.props.StringProperty(
        name="Tags",
        description="Tags of the asset, with commas between them",
    )

    def options(self) -> ResultOptions:
        """What is done with the result when it is finished."""
        return ResultOptions(self.lods, self.mark_asset, split_tags(self.tags) if self.mark_asset else ())

    @property
    def chosen_faces(self) -> int | None:
        """The limit, None when there is none."""
        return self.faces if self.use_faces else None

    @property
    def chosen_texture_size(self) -> int | None:
        """Pixels, None when the preset decides."""
        return None if self.texture_size == "PRESET" else int(self.texture_size)
