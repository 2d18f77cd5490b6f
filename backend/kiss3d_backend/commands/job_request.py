"""A job as the command line asks for it: which files go in, and the message that they make."""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, frozen

from kiss3d_backend.commands.files import read_picture_file
from kiss3d_protocol.inputs import check_inputs, recipe_for
from kiss3d_protocol.messages import MAX_NAME, Submit, new_job_id
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import Blob, BlobWriter, ImageRef

MEDIA_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
}


@frozen
class JobFiles:
    """What was given. ``views``: one bundle picture, or the four views in their order."""

    picture: Path | None = None
    mesh: Path | None = None
    views: tuple[Path, ...] = ()

    def recipe(self) -> str:
        """What is to be made of them."""
        return recipe_for(picture=self.picture is not None, mesh=self.mesh is not None, views=bool(self.views))

    def name(self, prompt: str) -> str:
        """What the job is called in lists."""
        first = next((path for path in (self.picture, *self.views, self.mesh) if path is not None), None)
        return (prompt if first is None else first.name)[:MAX_NAME]


def make_submit(files: JobFiles, params: GenerateParams) -> tuple[Submit, list[Blob]]:
    """Reads and checks the files. The recipe is the one that suits them.

    Raises a :class:`PictureError`, a :class:`MeshError`, or :class:`ParamsInvalid` for files that do not go together.
    """
    writer = BlobWriter()
    submit = Submit(
        new_job_id(),
        files.name(params.prompt),
        evolve(params, recipe=files.recipe()),
        None if files.picture is None else _picture(files.picture, writer),
        tuple(_picture(view, writer) for view in files.views),
    )
    if files.mesh is not None:
        from kiss3d_backend.mesh.payload import describe_mesh
        from kiss3d_backend.mesh.read import read_mesh_file

        submit = evolve(submit, mesh=describe_mesh(read_mesh_file(files.mesh), writer))
    check_inputs(submit)
    if files.picture is None:
        from kiss3d_backend.intake.submit import check_submit

        check_submit(submit, writer.blobs)
    return submit, writer.blobs


def _picture(path: Path, writer: BlobWriter) -> ImageRef:
    from kiss3d_backend.intake.picture import inspect_picture

    data = read_picture_file(path)
    info = inspect_picture(data)
    return writer.image(data, MEDIA_TYPES[info.format], info.width, info.height)
