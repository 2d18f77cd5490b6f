"""How a bundle is drawn, and what the presets say about it."""

from __future__ import annotations

from typing import Any, Literal

import attrs

from kiss3d_backend.networks.flux.solver import Solver

BUNDLE_SENTENCE = "A grid of 2x4 multi-view image, elevation 5. White background."
"""What Kiss3DGen's LoRA was trained with: CLIP reads it alone, T5 with the caption after it."""

BUNDLE_WIDTH, BUNDLE_HEIGHT = 2048, 1024

Spacing = Literal["resolution", "static"]


_SHARE: Any = attrs.validators.and_(attrs.validators.ge(0), attrs.validators.le(1))


@attrs.frozen
class ControlSettings:
    """How the reference bundle steers. ``scale``: 0 to 1. ``start``, ``end``: shares of the evaluations."""

    scale: float = attrs.field(default=0.6, validator=attrs.validators.ge(0))
    end: float = attrs.field(default=0.65, validator=_SHARE)
    start: float = attrs.field(default=0.0, validator=_SHARE)
    mode: int = attrs.field(default=1, validator=attrs.validators.ge(0))


@attrs.frozen
class FluxSettings:
    """One run of FLUX.

    ``steps``: 1 to 200. ``solver``: Euler evaluates the network once a step, Heun twice but in the last. ``spacing``:
    of the noise levels: "resolution" is FLUX's own (shifted by the picture's size for dev, not for schnell), "static"
    that of the published Heun scheduler; None takes each solver's own. ``strength``: how much of the reference is
    drawn anew, above 0 to 1. ``guidance``: dev only. ``tokens``: of the long prompt, at most 512. ``control``,
    ``redux``: the reference bundle through ControlNet, and the strength (0 to 1) of the picture's tokens; None leaves
    them out. ``lora``, ``turbo``: weights of Kiss3DGen's LoRA and of the one for few steps; 0 leaves it out.
    ``width``, ``height``: pixels. ``preview_every``: steps; 0 for never.
    """

    steps: int = attrs.field(validator=[attrs.validators.ge(1), attrs.validators.le(200)])
    solver: Solver = attrs.field(default="euler", validator=attrs.validators.in_(("euler", "heun")))
    spacing: Spacing | None = attrs.field(default=None, validator=attrs.validators.in_(("resolution", "static", None)))
    strength: float = attrs.field(default=0.95, validator=[attrs.validators.gt(0), attrs.validators.le(1)])
    guidance: float = attrs.field(default=3.5, validator=attrs.validators.ge(0))
    tokens: int = attrs.field(default=512, validator=[attrs.validators.ge(1), attrs.validators.le(512)])
    control: ControlSettings | None = None
    redux: float | None = attrs.field(default=None, validator=attrs.validators.optional(_SHARE))
    lora: float = 1.0
    turbo: float = 0.0
    width: int = attrs.field(default=BUNDLE_WIDTH, validator=attrs.validators.ge(16))
    height: int = attrs.field(default=BUNDLE_HEIGHT, validator=attrs.validators.ge(16))
    preview_every: int = attrs.field(default=4, validator=attrs.validators.ge(0))


FLUX_PRESETS: dict[str, FluxSettings] = {
    # schnell was trained with 256 tokens.
    "fast": FluxSettings(steps=4, tokens=256, preview_every=1),
    "balanced": FluxSettings(steps=8, turbo=1.0, preview_every=2),
    "quality": FluxSettings(steps=20, control=ControlSettings(scale=0.6, end=0.65), redux=0.5),
}
"""fast is for schnell, the others for dev."""


def long_prompt(caption: str) -> str:
    """What T5 reads: the sentence of the bundle, then the caption."""
    return f"{BUNDLE_SENTENCE} {caption.strip()}".strip()
