"""What the picture shows, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from kiss3d_backend.mesh.on_white import on_white
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
        picture = on_white(value.rgba)
        caption = self.captioner().caption(picture, context.check_cancelled)
        context.preview(picture, caption)
        return caption
