"""FLUX draws the bundle: four views and their normals in one picture, from words, a reference bundle and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.pipeline.stage import Stage, StageContext

if TYPE_CHECKING:
    import torch

    from kiss3d_backend.networks.flux.draw import FluxParts
    from kiss3d_backend.networks.flux.settings import FluxSettings


@attrs.frozen(eq=False)
class ToGenerate:
    """``caption``: what the object is. ``reference``: a bundle (height, width, 3) uint8 to start from, or None;
    presets with ControlNet steer by it too.

    ``picture``: (H, W, 3) uint8 of the object on white, for presets with Redux, or None.
    """

    caption: str
    reference: NDArray[np.uint8] | None = None
    picture: NDArray[np.uint8] | None = None


class GenerateBundle(Stage[ToGenerate, NDArray[np.uint8]]):
    """The bundle picture, (height, width, 3) uint8, as the settings have it (2048 x 1024).

    ``parts``: the networks, loaded when they are called for; the text encoders are released before the transformer
    is called for. ``dtype``: that the transformer computes in. The noise comes from the stage's own generator and is
    drawn on the CPU, so that a seed gives the same noise on every device.
    """

    name = "bundle"
    title = "Drawing the bundle"
    weight = 60.0

    def __init__(self, settings: FluxSettings, parts: FluxParts, dtype: torch.dtype) -> None:
        self.settings = settings
        self.parts = parts
        self.dtype = dtype

    def run(self, value: ToGenerate, context: StageContext) -> NDArray[np.uint8]:
        import torch
        from PIL import Image

        from kiss3d_backend.networks.flux.draw import Request, Watcher, draw, embed
        from kiss3d_backend.networks.flux.settings import BUNDLE_SENTENCE, long_prompt

        request = Request(
            BUNDLE_SENTENCE,
            long_prompt(value.caption),
            value.reference,
            value.reference,
            None if value.picture is None else Image.fromarray(value.picture),
        )
        prompt = embed(self.parts, request, self.settings, self.dtype)
        context.check_cancelled()
        generator = torch.Generator("cpu").manual_seed(int(context.generator.integers(2**63)))
        watcher = Watcher(context.check_cancelled, context.progress, context.preview)
        return draw(self.parts, request, prompt, self.settings, generator, watcher)
