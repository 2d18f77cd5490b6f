"""How a machine runs FLUX: where the transformer's blocks live and how their products are done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import attrs

Products = Literal["upcast", "scaled"]
ActivationScale = Literal["tensor", "row"]
AttentionBackEnd = Literal["default", "cudnn", "flash", "efficient", "math"]

CACHE_FROM_STEPS = 12
"""Runs of fewer steps never use the first-block cache: their steps differ too much to stand for each other."""

COMPILE_AFTER = 90.0
"""Seconds. Compiling takes about 15 and spares a sixth of what follows (docs/performance.md): by then as much time was
lost as compiling costs. Who stops earlier has not waited for nothing, and who goes on loses no more than that."""

SLOTS = 2
"""Streamed blocks that are on the device at a time: one computes while the next one is copied."""

_NOT_NEGATIVE: Any = attrs.validators.ge(0)


@attrs.frozen
class FluxExecution:
    """The defaults keep everything on the device and change no result.

    ``streamed``: blocks live in host memory (pinned on CUDA) and are copied to the device for their turn;
    ``resident_blocks`` of them stay on the device (see :func:`streamed_blocks`). ``products``: "upcast" widens each
    stored weight when it is used; "scaled" multiplies in float8, for compute capability 8.9 and up (on the CPU by its
    definition, slowly), with ``activation_scale`` for a whole "tensor" or for each "row" (a token; torch has that on
    Linux alone). ``first_block_cache``: None, or the relative change of the first block's residual below which an
    evaluation takes the other blocks' work from an earlier one; for runs of at least CACHE_FROM_STEPS steps. With half
    of 20 evaluations left out, latents of random weights differ by 1 to 1.5 %, with three quarters by 4.5 %
    (docs/performance.md); no plan sets it.
    ``compiled``: blocks are compiled before the first run that begins when runs have taken ``compile_after`` seconds in
    all; never for the first one; needs Triton on CUDA. ``attention``: which of torch's kernels is asked first.
    ``tiled_decode``: the picture is decoded, and reference pictures encoded, in tiles that
    overlap.
    """

    streamed: bool = False
    resident_blocks: int = attrs.field(default=0, validator=_NOT_NEGATIVE)
    products: Products = attrs.field(default="upcast", validator=attrs.validators.in_(("upcast", "scaled")))
    activation_scale: ActivationScale = attrs.field(default="tensor", validator=attrs.validators.in_(("tensor", "row")))
    first_block_cache: float | None = attrs.field(default=None, validator=attrs.validators.optional(_NOT_NEGATIVE))
    compiled: bool = False
    compile_after: float = attrs.field(default=COMPILE_AFTER, validator=_NOT_NEGATIVE)
    attention: AttentionBackEnd = attrs.field(
        default="default", validator=attrs.validators.in_(("default", "cudnn", "flash", "efficient", "math"))
    )
    tiled_decode: bool = False

    @property
    def results(self) -> str:
        """What tells the pictures of this execution from those of others, beyond rounding."""
        told = [self.products, *([self.activation_scale] if self.products == "scaled" else [])]
        if self.first_block_cache:
            told.append(f"cache {self.first_block_cache:g}")
        return " ".join([*told, *(["tiled"] if self.tiled_decode else [])])


@attrs.frozen
class FluxPlacement:
    """How FLUX's networks are placed and run. ``execution``: of the transformer, and of decoding.

    ``read_on_processor``: the text encoders compute there, in float32. ``control_in_float8``: the ControlNet's matrices
    are rounded to float8 when they are loaded, which halves them.
    """

    execution: FluxExecution = attrs.Factory(FluxExecution)
    read_on_processor: bool = False
    control_in_float8: bool = False


def streamed_blocks(block_bytes: Sequence[int], resident: int) -> frozenset[int]:
    """The numbers of the blocks that are streamed when ``resident`` of those of these sizes stay.

    Small ones first, as a slot is as large as the largest streamed block; those of one size as evenly spread as whole
    numbers allow, so that copying has as long as it can.
    """
    left = len(block_bytes) - resident
    streamed: set[int] = set()
    for size in sorted(set(block_bytes)):
        alike = [number for number, other in enumerate(block_bytes) if other == size]
        take = max(0, min(left, len(alike)))
        left -= take
        streamed |= {
            number
            for place, number in enumerate(alike)
            if (place + 1) * take // len(alike) > place * take // len(alike)
        }
    return frozenset(streamed)


def device_block_bytes(block_bytes: Sequence[int], execution: FluxExecution) -> int:
    """What blocks of these sizes take on the device: those that stay, and the slots for those that are streamed."""
    if not execution.streamed:
        return sum(block_bytes)
    streamed = [block_bytes[number] for number in streamed_blocks(block_bytes, execution.resident_blocks)]
    return sum(block_bytes) - sum(streamed) + min(SLOTS, len(streamed)) * max(streamed, default=0)


def most_resident_blocks(block_bytes: Sequence[int], budget: int) -> int | None:
    """The largest ``resident_blocks`` with which these blocks, streamed, take at most ``budget`` bytes on the device.

    None when even the slots alone are more than that.
    """
    for resident in range(len(block_bytes), -1, -1):
        execution = FluxExecution(streamed=True, resident_blocks=resident)
        if device_block_bytes(block_bytes, execution) <= budget:
            return resident
    return None
