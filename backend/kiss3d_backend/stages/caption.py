"""What the picture shows, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Cutout, Picture

if TYPE_CHECKING:
    from kiss3d_backend.networks.florence.captioner import Captioner


class Caption(Stage[Cutout | Picture, str]):
    """A paragraph in English about the object, on white.

    ``captioner``: gets the network. ``weights``: what tells one set of weights from another, for the fingerprint.
    """

    name = "caption"
    title = "Describing the picture"
    weight = 4.0
    kept = True

    def __init__(self, captioner: Callable[[], Captioner], weights: str = "") -> None:
        self.captioner = captioner
        self.weights = weights

    def fingerprint(self) -> str:
        return self.weights

    def run(self, value: Cutout | Picture, context: StageContext) -> str:
        alpha = value.rgba[..., 3:].astype(np.uint16)
        on_white = (value.rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
        return self.captioner().caption(on_white.astype(np.uint8), context.check_cancelled)
