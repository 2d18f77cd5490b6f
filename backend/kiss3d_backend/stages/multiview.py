"""Zero123++: four views of the object in a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from kiss3d_backend.mesh.on_white import on_white
from kiss3d_backend.networks.zero123.settings import SamplingSettings
from kiss3d_backend.networks.zero123.tiles import BUNDLE_ORDER, split_tiles
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Cutout, Views

if TYPE_CHECKING:
    import torch

    from kiss3d_backend.networks.zero123.parts import Parts

_PREVIEW_STEPS = 5


class MakeViews(Stage[Cutout, Views]):
    """Shows a rough picture of all four every few steps, and the finished one.

    ``parts``: the networks. ``weights``: what tells one set of weights from another (their hashes, their dtype), for
    the fingerprint. The noise comes from the job's seed and is the same on every device.

    Raises :class:`ParamsInvalid` for settings that the model does not allow, and what getting the networks raises.
    """

    name = "multiview"
    title = "Imagining the other sides"
    weight = 15.0
    kept = True

    def __init__(self, parts: Parts, settings: SamplingSettings | None = None, weights: str = "") -> None:
        self.parts = parts
        self.settings = settings or SamplingSettings()
        self.weights = weights

    def fingerprint(self) -> str:
        return f"{attrs.astuple(self.settings)} {self.weights}"

    def run(self, value: Cutout, context: StageContext) -> Views:
        import torch

        from kiss3d_backend.networks.zero123.pipeline import make_tiles
        from kiss3d_backend.networks.zero123.preview import approximate_picture

        def on_step(step: int, steps: int, signal: torch.Tensor) -> None:
            if step % _PREVIEW_STEPS == 0 and step < steps:
                context.preview(approximate_picture(signal))
            # Decoding comes after the last step.
            context.progress(step, steps + 1)

        picture = make_tiles(
            on_white(value.rgba),
            self.parts,
            self.settings,
            torch.Generator("cpu").manual_seed(int(context.generator.integers(2**63))),
            on_step,
            context.check_cancelled,
        )
        context.preview(picture)
        return Views(split_tiles(picture)[list(BUNDLE_ORDER)])
