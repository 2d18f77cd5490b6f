"""FLUX draws bundles: four views and their normals in one picture, from words, a reference bundle and a picture."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.bundle.check import check_bundle
from kiss3d_backend.pipeline.bundle_checks import note_bundle_checks
from kiss3d_backend.pipeline.snapshot import register
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Bundle

if TYPE_CHECKING:
    import torch

    from kiss3d_backend.networks.flux.draw import FluxParts
    from kiss3d_backend.networks.flux.settings import FluxSettings

_SEEDS = 2**32


@register
@attrs.frozen(eq=False)
class ToGenerate:
    """``caption``: what the object is. ``seeds``: one for each bundle, 0 to 2**32 - 1; none takes the job's.

    ``reference``: a bundle (height, width, 3) uint8 to start from, or None; presets with ControlNet steer by it too.
    ``picture``: (H, W, 3) uint8 of the object on white, for presets with Redux, or None. ``redraw``: draw a bundle once
    more, with the next seed that nobody asked for, when its check finds problems.
    """

    caption: str
    reference: NDArray[np.uint8] | None = None
    picture: NDArray[np.uint8] | None = None
    seeds: tuple[int, ...] = ()
    redraw: bool = True


class GenerateBundle(Stage[ToGenerate, tuple[Bundle, ...]]):
    """A bundle for each seed, (height, width, 3) uint8, as the settings have it (2048 x 1024).

    ``parts``: gets the networks, each loaded when it is called for; the text encoders are released before the
    transformer is called for, and the prompt is encoded once for all seeds. ``dtype``: that it computes in.
    ``weights``: what tells one set of weights from another, for the fingerprint; ``drawing``: what else changes the
    pictures, as it is now. Warns ``bundle.drawn_again``, or ``bundle.doubtful`` where it is not to be drawn again, with
    the figures, when the check of a bundle finds problems.

    The noise is drawn on the CPU from the bundle's seed alone: the same seed gives the same noise on every device, in
    any company. Raises :class:`ParamsInvalid` for sizes that do not fit, and what getting the networks raises.
    """

    name = "bundle"
    title = "Drawing the bundle"
    weight = 60.0
    kept = True

    def __init__(
        self,
        settings: FluxSettings,
        parts: Callable[[], FluxParts],
        dtype: torch.dtype,
        weights: str = "",
        *,
        drawing: Callable[[], str] = lambda: "",
    ) -> None:
        self.settings = settings
        self.parts = parts
        self.dtype = dtype
        self.weights = weights
        self.drawing = drawing

    def fingerprint(self) -> str:
        return f"{attrs.astuple(self.settings)} {self.dtype} {self.weights} {self.drawing()}"

    def run(self, value: ToGenerate, context: StageContext) -> tuple[Bundle, ...]:
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
        parts = self.parts()
        prompt = embed(parts, request, self.settings, self.dtype)
        context.check_cancelled()
        seeds = value.seeds or (context.seed,)

        def drawn(number: int, seed: int) -> Bundle:
            def progress(done: int, total: int) -> None:
                context.progress(number * total + done, len(seeds) * total)

            watcher = Watcher(context.check_cancelled, progress, context.preview)
            generator = torch.Generator("cpu").manual_seed(seed)
            picture = draw(parts, request, prompt, self.settings, generator, watcher)
            context.preview(picture, value.caption)
            return Bundle(picture, seed)

        bundles: list[Bundle] = []
        for number, seed in enumerate(seeds):
            bundle = drawn(number, seed)
            figures = check_bundle(bundle.picture)
            if (problems := figures.problems) and not value.redraw:
                context.warn(
                    "bundle.doubtful",
                    f"The bundle of seed {seed} does not look right: " + " ".join(problems),
                    "Look at it before you use the mesh; another seed or preset may give a better one.",
                )
            elif problems:
                following = _free_after(seed, (*seeds, *(bundle.seed for bundle in bundles)))
                context.warn(
                    "bundle.drawn_again",
                    f"The bundle of seed {seed} does not look right and was drawn again with {following}: "
                    + " ".join(problems),
                    "Nothing needs to be done; another seed or preset may give a better one.",
                )
                again = drawn(number, following)
                checked_again = check_bundle(again.picture)
                if len(checked_again.problems) <= len(problems):
                    bundle, figures = again, checked_again
            note_bundle_checks(figures, context, number)
            bundles.append(bundle)
        parts.release()
        for note in parts.notes:
            context.warn("bundle.lora", note, "Use a LoRA for the transformer alone if the bundle lacks its style.")
        return tuple(bundles)


def _free_after(seed: int, taken: Collection[int]) -> int:
    """The next seed that is not taken."""
    while True:
        seed = (seed + 1) % _SEEDS
        if seed not in taken:
            return seed
