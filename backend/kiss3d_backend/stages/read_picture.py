"""Picture file to pixels."""

from __future__ import annotations

from kiss3d_backend.intake.decode import read_picture
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Picture


class ReadPicture(Stage[bytes, Picture]):
    """Decodes the bytes of a picture file; see :func:`kiss3d_backend.intake.decode.read_picture`."""

    name = "read"
    title = "Reading the picture"
    weight = 1.0

    def run(self, value: bytes, context: StageContext) -> Picture:
        return read_picture(value, lambda part: context.progress(round(part * 100), 100))
