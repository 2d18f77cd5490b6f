"""The file of a bundle picture to its pixels."""

from __future__ import annotations

import numpy as np

from kiss3d_backend.intake.decode import read_picture
from kiss3d_backend.mesh.bundle.layout import split_bundle
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Bundle


class ReadBundle(Stage[bytes, Bundle]):
    """Transparent parts become white. Raises :class:`BundleInvalid` for a wrong size, and what pictures raise."""

    name = "read_bundle"
    title = "Reading the bundle"
    weight = 0.5

    def run(self, value: bytes, context: StageContext) -> Bundle:
        rgba = read_picture(value).rgba
        alpha = rgba[..., 3:].astype(np.uint16)
        picture = ((rgba[..., :3] * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)
        split_bundle(picture)
        return Bundle(picture, context.seed)
