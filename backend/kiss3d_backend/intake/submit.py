"""What a client sends for a job, checked before the job is accepted."""

from __future__ import annotations

from collections.abc import Sequence

from kiss3d_backend.intake.picture import inspect_picture
from kiss3d_protocol.errors import BundleInvalid
from kiss3d_protocol.messages import Submit
from kiss3d_protocol.payloads import Blob


def check_submit(submit: Submit, blobs: Sequence[Blob]) -> None:
    """Raises a :class:`PictureError` or a :class:`MeshError` for what no recipe could use.

    Of pictures the header is looked at; of a mesh everything. Only a mesh or a bundle needs numpy.
    """
    if submit.picture is not None:
        inspect_picture(bytes(blobs[submit.picture.blob]))
    views = [inspect_picture(bytes(blobs[view.blob])) for view in submit.views]
    if len(views) == 1:
        from kiss3d_backend.mesh.bundle.layout import BUNDLE_SHAPE

        height, width = BUNDLE_SHAPE[:2]
        if (views[0].width, views[0].height) != (width, height):
            raise BundleInvalid(
                f"A bundle has {width} x {height} pixels; this picture has {views[0].width} x {views[0].height}."
            )
    if submit.mesh is not None:
        from kiss3d_backend.intake.mesh import check_mesh

        check_mesh(submit.mesh, blobs)
