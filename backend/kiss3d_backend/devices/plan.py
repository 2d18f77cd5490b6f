"""How a machine runs a recipe: where each network is and how precise, and what memory each stage takes. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from kiss3d_backend.devices.budget import Budget
from kiss3d_backend.devices.components import ComponentName
from kiss3d_backend.devices.demand import StageDemand
from kiss3d_backend.devices.foresight import Memory
from kiss3d_backend.devices.precision import Compute, Precision, Products
from kiss3d_backend.devices.room import Place

Residence = Literal["resident", "streamed", "offloaded", "processor"]
"""resident: on the device from its first use on, between jobs too. streamed: blocks lie in the processor's memory and
cross to the device for their turn. offloaded: on the device while it is used, and gone when another needs the room; it
comes back from its file, which the system keeps in memory where it can. processor: it computes on the processor."""


@frozen
class ComponentPlan:
    """One network. Bytes: ``device``: of weights on the device; ``host``: in the processor's memory, without mapped
    files. ``work``: the most that it needs on the device beside them. ``kept``: it stays loaded between jobs.
    ``resident_blocks``: of a streamed one, those that are on the device.
    """

    name: ComponentName
    precision: Precision
    residence: Residence
    device: int
    host: int
    work: int
    kept: bool
    resident_blocks: int = 0


@frozen
class StagePlan:
    """``vram``, ``ram``: bytes at most; ``vram`` as torch's allocator will have reserved, None without a card.

    ``loads``: networks in the order in which they are loaded when nothing is there yet. ``prefetch``: networks that the
    next stage loads first, whose files are read into the system's memory meanwhile.
    """

    stage: str
    vram: int | None
    ram: int
    loads: tuple[ComponentName, ...] = ()
    prefetch: tuple[ComponentName, ...] = ()


@frozen
class Plan:
    """``name``: tells it from the plans above and below it. ``budget``: None without a card. ``limit``: bytes that
    networks and their work may take where they compute. ``memory``: how the allocator there is counted. ``places``: of
    the networks, as the shelf has them. ``demands``: what was planned for. ``cold``, ``warm``: the stages of a first
    job, and of the next one like it.
    """

    name: str
    device: Literal["cuda", "cpu"]
    budget: Budget | None
    limit: int
    memory: Memory
    compute: Compute
    products: Products
    tiled_decode: bool
    components: Mapping[ComponentName, ComponentPlan] = field(converter=dict[ComponentName, ComponentPlan])
    places: Mapping[str, Place] = field(converter=dict[str, Place])
    demands: tuple[StageDemand, ...]
    cold: tuple[StagePlan, ...]
    warm: tuple[StagePlan, ...]

    @property
    def vram(self) -> int | None:
        """The most that any stage takes of the card's memory, by torch's allocator."""
        peaks = [stage.vram for stage in (*self.cold, *self.warm) if stage.vram is not None]
        return max(peaks) if peaks else None

    @property
    def ram(self) -> int:
        """The most that any stage takes of the processor's memory."""
        return max(stage.ram for stage in (*self.cold, *self.warm))
