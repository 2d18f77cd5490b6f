"""One way to run a recipe on a card, and the plan that follows from it. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from kiss3d_backend.devices.budget import MIB, Budget
from kiss3d_backend.devices.components import Component, ComponentName, components
from kiss3d_backend.devices.demand import StageDemand, demands, used_in, work_of
from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.devices.foresight import Foreseen, Memory, foresee
from kiss3d_backend.devices.machine import Machine
from kiss3d_backend.devices.plan import AttentionBackEnd, ComponentPlan, Plan, Residence, StagePlan
from kiss3d_backend.devices.precision import Compute, Precision, products_for
from kiss3d_backend.devices.room import Place
from kiss3d_backend.devices.workload import Workload

GROWING = Memory(weights=1.01, work=1.1)
FIXED = Memory(weights=1.02, work=1.5)
"""What torch's allocator reserves for what is allocated, with segments that grow and without. The latter from one
measurement: 13.0 GiB reserved for 11.1 GiB of FLUX's weights and an evaluation of .86; the former is a guess."""

SLOTS = 2
"""Streamed blocks that are on the device at a time."""

PROCESS = 1600 * MIB
"""Of the processor's memory: Python, torch and its libraries with CUDA."""


@frozen
class Job:
    """What is planned for."""

    recipe: str
    workload: Workload
    machine: Machine
    compute: Compute

    def demands(self, *, tiled: bool) -> tuple[StageDemand, ...]:
        return demands(self.recipe, self.workload, self.compute, products_for(self.machine), tiled=tiled)


@frozen
class Choice:
    """``blocks``: None has FLUX's transformer on the device; else so many of its blocks, and the others are streamed.
    ``tiled``: bundles are decoded in tiles. ``transformer_stays``: between jobs.
    """

    blocks: int | None = None
    tiled: bool = False
    control_in_float8: bool = False
    read_on_processor: bool = False
    transformer_stays: bool = True


CHOICES = tuple(
    Choice(blocks, tiled, control, read, stays)
    for stays in (True, False)
    for read in (False, True)
    for control in (False, True)
    for tiled in (False, True)
    for blocks in (None, 0)
)
"""In the order in which they are tried: what changes no result first, then tiles, then precision, then what is slow."""


def plan_for(job: Job, choice: Choice, kept: Sequence[ComponentName], budget: Budget, limit: int) -> Plan:
    """The plan of this choice, with these networks kept between jobs; it may not fit. ``limit``: bytes for torch."""
    shape = FluxShape(guided=job.workload.guided)
    catalogue = components(shape, job.workload.loras, "float8" if choice.control_in_float8 else None)
    needed = job.demands(tiled=choice.tiled)
    planned: dict[ComponentName, ComponentPlan] = {}
    for name in used_in(needed):
        component, work, keep = catalogue[name], work_of(needed, name), name in kept
        if component.on_processor or (choice.read_on_processor and name == "flux text encoders"):
            planned[name] = _on_processor(component)
        elif name == "flux transformer" and choice.blocks is not None:
            planned[name] = _streamed(job, component, shape, choice.blocks, work, keep)
        else:
            precision = component.precision(job.compute, products_for(job.machine))
            residence: Residence = "resident" if keep else "offloaded"
            weights = component.weights(job.compute)
            planned[name] = ComponentPlan(name, precision, residence, weights, 0, work, keep)
    memory = GROWING if job.machine.expandable_segments else FIXED
    places = {
        each.name: Place(each.name, int(each.device * memory.weights), int(each.work * memory.work), each.kept)
        for each in planned.values()
    }
    host = {each.name: each.host for each in planned.values()}
    first, there = foresee(needed, places, host, limit, memory)
    again, _ = foresee(needed, places, host, limit, memory, there)
    return Plan(
        name="",
        device="cuda",
        budget=budget,
        limit=limit,
        process=PROCESS,
        memory=memory,
        compute=job.compute,
        products=products_for(job.machine),
        tiled_decode=choice.tiled,
        compiled=job.machine.triton_works,
        attention=_attention(job.machine),
        components=planned,
        places=places,
        demands=needed,
        cold=_stages(first, planned, job.machine.ram_total),
        warm=_stages(again, planned, job.machine.ram_total),
    )


def _attention(machine: Machine) -> AttentionBackEnd:
    """cuDNN's on Hopper and later, where it is the fastest by far; else torch's choice."""
    newer = machine.compute_capability is not None and machine.compute_capability >= (9, 0)
    return "cudnn" if newer and "cudnn" in machine.attention else "default"


def _on_processor(component: Component) -> ComponentPlan:
    """Float8 stays mapped there; the rest is widened."""
    precision = Precision("float8" if component.float8 else "float32", "float32")
    return ComponentPlan(component.name, precision, "processor", 0, component.wide * 4, 0, kept=False)


def _streamed(job: Job, component: Component, shape: FluxShape, blocks: int, work: int, keep: bool) -> ComponentPlan:
    resident, streamed = shape.blocks[:blocks], shape.blocks[blocks:]
    beside = component.weights(job.compute) - sum(shape.blocks)
    device = beside + sum(resident) + min(SLOTS, len(streamed)) * max(streamed, default=0)
    precision = component.precision(job.compute, products_for(job.machine))
    return ComponentPlan(component.name, precision, "streamed", device, sum(streamed), work, keep, blocks)


def _stages(
    foreseen: Sequence[Foreseen], planned: dict[ComponentName, ComponentPlan], ram_total: int
) -> tuple[StagePlan, ...]:
    stages: list[StagePlan] = []
    following: tuple[ComponentName, ...] = ()
    for each in reversed(foreseen):
        ram = each.host + PROCESS
        # Files are read ahead only where the system can keep them until they are wanted.
        free, ahead = ram_total - ram, list[ComponentName]()
        for name in following:
            size = planned[name].device + planned[name].host
            if size <= free:
                ahead.append(name)
                free -= size
        stages.append(StagePlan(each.stage, each.device, ram, each.loads, tuple(ahead)))
        following = each.loads or following
    return tuple(reversed(stages))


def choice_words(plan: Plan) -> str:
    """What is special about a plan, in a few words."""
    transformer = plan.components.get("flux transformer")
    words = ["resident"]
    if transformer is not None and transformer.residence == "streamed":
        stay = transformer.resident_blocks
        words = [f"streamed, {stay} blocks stay" if stay else "streamed"]
    if transformer is not None and not transformer.kept:
        words.append("loaded for each job")
    if plan.tiled_decode:
        words.append("decoded in tiles")
    control, encoders = plan.components.get("controlnet"), plan.components.get("flux text encoders")
    if control is not None and control.precision.storage == "float8":
        words.append("ControlNet in float8")
    if encoders is not None and encoders.residence == "processor":
        words.append("text on the processor")
    return ", ".join(words)
