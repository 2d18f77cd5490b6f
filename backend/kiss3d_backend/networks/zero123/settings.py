"""How views are sampled. Without torch, for those who only set."""

from __future__ import annotations

import attrs


@attrs.frozen
class SamplingSettings:
    """``guidance``: 1 or less means none. ``side``: of the result in pixels; the weights were trained at 1024."""

    steps: int = attrs.field(default=50, validator=attrs.validators.ge(1))
    guidance: float = 4.0
    side: int = attrs.field(default=1024, validator=attrs.validators.ge(2))
