"""In what numbers a machine computes, and what a network's weights take in them. No torch."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from kiss3d_backend.devices.machine import Machine
from kiss3d_protocol.errors import ParamsInvalid

Compute = Literal["bfloat16", "float16", "float32"]
Storage = Literal["float8", "bfloat16", "float16", "float32"]
Products = Literal["upcast", "scaled"]
"""How float8 weights multiply: widened when they are used, or as they are (torch's scaled products)."""

BYTES: dict[Storage, int] = {"float8": 1, "bfloat16": 2, "float16": 2, "float32": 4}


@frozen
class Precision:
    """Of one network. ``storage``: of its matrices. ``compute``: of its sums. ``products``: for float8 storage."""

    storage: Storage
    compute: Compute
    products: Products = "upcast"

    def __str__(self) -> str:
        if self.storage != "float8":
            return self.compute
        return f"float8, {'scaled products' if self.products == 'scaled' else f'widened to {self.compute}'}"


def compute_for(machine: Machine, asked: Compute | None = None) -> Compute:
    """bfloat16 where the hardware has it (compute capability 8.0 on), float16 on older cards, float32 on the CPU.

    ``asked``: a wish instead. Raises :class:`ParamsInvalid` for a half precision on the CPU, where it is slow and many
    operations lack it.
    """
    if machine.device != "cuda":
        if asked not in (None, "float32"):
            raise ParamsInvalid(
                f"The networks cannot run in half precision ({asked}) on the processor.",
                "Use float32 there, or run them on a graphics card.",
            )
        return "float32"
    if asked is not None:
        return asked
    return "bfloat16" if machine.bfloat16 else "float16"


def products_for(machine: Machine) -> Products:
    """Scaled from compute capability 8.9 on."""
    return "scaled" if machine.device == "cuda" and machine.float8 else "upcast"
