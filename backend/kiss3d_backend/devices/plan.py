"""How a machine runs a recipe: where each network is and how precise, and what memory each stage takes. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from attrs import field, frozen

from kiss3d_backend.devices.budget import Budget
from kiss3d_backend.devices.components import ComponentName
from kiss3d_backend.devices.demand import StageDemand
from kiss3d_backend.devices.foresight import Memory, foresee
from kiss3d_backend.devices.precision import Compute, Precision, Products
from kiss3d_backend.devices.room import Place

Residence = Literal["resident", "streamed", "offloaded", "processor"]
"""resident: on the device from its first use on, between jobs too. streamed: blocks lie in the processor's memory and
cross to the device for their turn. offloaded: on the device while it is used, and gone when another needs the room; it
comes back from its file, which the system keeps in memory where it can. processor: it computes on the processor."""


AttentionBackEnd = Literal["default", "cudnn", "flash", "efficient", "math"]
"""Of torch's scaled_dot_product_attention; "default" leaves the choice to torch."""


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
    networks and their work may take where they compute. ``process``: bytes of the processor's memory before any of
    them. ``memory``: how the allocator there is counted. ``compiled``: FLUX's blocks are compiled, by Triton.
    ``attention``: the kernel that is asked first. ``places``: of the networks, as the shelf has them. ``demands``: what
    was planned for. ``cold``, ``warm``: the stages of a first job, and of the next one like it.
    """

    name: str
    device: Literal["cuda", "cpu"]
    budget: Budget | None
    limit: int
    process: int
    memory: Memory
    compute: Compute
    products: Products
    tiled_decode: bool
    compiled: bool
    attention: AttentionBackEnd
    components: Mapping[ComponentName, ComponentPlan] = field(converter=dict[ComponentName, ComponentPlan])
    places: Mapping[str, Place] = field(converter=dict[str, Place])
    demands: tuple[StageDemand, ...]
    cold: tuple[StagePlan, ...]
    warm: tuple[StagePlan, ...]

    def use_of(self, stage: str, loaded: Iterable[str]) -> tuple[int | None, int] | None:
        """Bytes of the card's and of the processor's memory that a stage will take at most, when these networks are
        loaded before it; None for a stage that was not planned for."""
        needed = [demand for demand in self.demands if demand.stage == stage]
        if not needed:
            return None
        host = {each.name: each.host for each in self.components.values()} if self.device == "cuda" else {}
        (foreseen,), _ = foresee(needed, self.places, host, self.limit, self.memory, loaded)
        if self.device == "cuda":
            return foreseen.device, self.process + foreseen.host
        return None, self.process + foreseen.host + foreseen.device

    def work_without_networks(self, stage: str) -> int:
        """Bytes that a stage takes on the device in phases in which no network is called for."""
        phases = (phase for demand in self.demands if demand.stage == stage for phase in demand.phases)
        return max((int(phase.vram * self.memory.work) for phase in phases if not phase.uses), default=0)

    @property
    def vram(self) -> int | None:
        """The most that any stage takes of the card's memory, by torch's allocator."""
        peaks = [stage.vram for stage in (*self.cold, *self.warm) if stage.vram is not None]
        return max(peaks) if peaks else None

    @property
    def ram(self) -> int:
        """The most that any stage takes of the processor's memory."""
        return max(stage.ram for stage in (*self.cold, *self.warm))
