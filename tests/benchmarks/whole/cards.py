"""Other cards, by their published figures, and what a measured job would take on them.

How a stage is projected: what it took beyond its loads is divided into the time that a roofline gives it at the
fraction ``FRACTION``, and the rest, which is taken as work of the processor between kernels. On another card the first
part follows that card's rates, the second the assumption ``SLOWER_PROCESSOR``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from tests.benchmarks.whole.counting import Counted
from tests.benchmarks.whole.rates import Rates
from tests.fakes.machines import gpu, machine

from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.devices.plan import Plan
from kiss3d_backend.devices.planner import plan
from kiss3d_backend.devices.workload import workload_of

FRACTION = 0.6
"""Of the published rates that a stage reaches; FLUX reaches .60 to .72 of the measured ones on an H200."""

SLOWER_PROCESSOR = 1.5
"""How much longer than on the measured machine everything takes that the processor does."""

PCIE = 20e9
"""Bytes a second from pinned memory over PCIe 4.0 x16, whose limit is 31.5e9."""

WIDENING = 5
"""Bytes moved for each stored byte where float8 weights are widened when they are used: read once, written and read in
two bytes."""

ASSUMPTIONS = (
    f"Stages reach {FRACTION} of a card's published rates, dense, with sums in float32.",
    f"Everything beyond that roofline, and loading from files in the system's memory, takes {SLOWER_PROCESSOR} times "
    "as long as measured.",
    f"Blocks that are streamed cross at {PCIE / 1e9:.0f} GB/s, hidden behind the products of the same step.",
    "Cards without float8 products widen each weight at each evaluation.",
    "The mesh engine's own kernels are not counted; its stages count as the processor's.",
)


@attrs.frozen
class Card:
    """``float8``: None where there are no float8 products. ``vram``: GiB."""

    name: str
    vram: float
    capability: tuple[int, int]
    half: float
    float8: float | None
    memory: float


CARDS = (
    Card("RTX 3060 12 GB", 12, (8, 6), 25.5e12, None, 360e9),
    Card("RTX 4070 12 GB", 12, (8, 9), 58.3e12, 116.6e12, 504e9),
    Card("RTX 4090", 24, (8, 9), 165.2e12, 330.3e12, 1008e9),
)
"""Operations a second in float16 or bfloat16, and float8, with sums in float32, and bytes a second: for the 4090 as in
NVIDIA's "Ada GPU architecture" (appendix A); for the others their streaming multiprocessors times boost clock times the
same operations per clock (28 x 1.777 GHz, 46 x 2.475 GHz), for the 3060 half of Ada's float16 sums as on GA10x."""


def plan_of(card: Card, recipe: str, preset: str) -> Plan:
    """As the planner has it on a Linux machine with 32 GiB and nothing else on the card."""
    there = machine(gpu=gpu(card.name, card.vram, card.capability))
    return plan(recipe, workload_of(recipe, preset), there)


def streamed_bytes(plan: Plan, evaluations: int) -> int:
    """Bytes that cross to the card in the drawing of a bundle, beside loads."""
    transformer = plan.components.get("flux transformer")
    return transformer.host * evaluations if transformer is not None and plan.device == "cuda" else 0


def ideal_seconds(counted: Counted, rates: Rates, streamed: int = 0, widened: int = 0) -> float:
    """By the roofline: the longest of products, the device's memory, and copies to it. ``widened``: bytes of float8
    weights that are widened."""
    float8 = rates.half if rates.float8 is None else rates.float8
    products = counted.float8 / float8 + (counted.attention + counted.other) / rates.half
    memory = (counted.moved + WIDENING * widened) / rates.memory
    return max(products, memory, streamed / rates.copy if rates.copy else 0.0)


def project(
    card: Card,
    preset: str,
    stages: list[dict[str, Any]],
    counted: Mapping[str, Counted],
    measured: Rates,
    streamed: int,
) -> dict[str, Any]:
    """Seconds of each stage of a warm job on ``card``. ``stages``: of a measured job, in which ``streamed`` bytes were
    streamed while the bundle was drawn."""
    recipe = "image_to_3d"
    workload = workload_of(recipe, preset)
    planned = plan_of(card, recipe, preset)
    rates = Rates(card.float8, card.half, card.memory, PCIE)
    found: dict[str, float] = {}
    for stage in stages:
        name, count = stage["stage"], counted.get(stage["stage"], Counted())
        draws = name == "bundle"
        loads = sum(stage["loads"].values())
        here = ideal_seconds(count, measured, streamed if draws else 0)
        beyond = max(0.0, stage["seconds"] - loads - here / FRACTION)
        widened = FluxShape().parameters * workload.evaluations if draws and card.float8 is None else 0
        crossing = streamed_bytes(planned, workload.evaluations) if draws else 0
        there = ideal_seconds(count, rates, crossing, widened)
        found[name] = round(there / FRACTION + SLOWER_PROCESSOR * (beyond + loads), 2)
    return {"card": card.name, "plan": planned.name, "seconds": round(sum(found.values()), 1), "stages": found}
