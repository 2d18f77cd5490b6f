"""From what a recipe needs and what a machine has to how it runs there: a pure function. No torch.

The plan that is taken first is the one that keeps most on the device and changes least in what is computed. Below it
come plans for ever smaller budgets, down to the least that there is: what a worker goes down when memory runs out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
from attrs import frozen

from kiss3d_backend.devices.budget import GIB, MIB, Budget, budget_for
from kiss3d_backend.devices.components import Component, ComponentName, components
from kiss3d_backend.devices.demand import StageDemand, demands
from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.devices.foresight import Foreseen, Memory, foresee
from kiss3d_backend.devices.machine import Machine
from kiss3d_backend.devices.plan import ComponentPlan, Plan, Residence, StagePlan
from kiss3d_backend.devices.precision import Compute, Precision, compute_for, products_for
from kiss3d_backend.devices.room import Place
from kiss3d_backend.devices.workload import Workload
from kiss3d_protocol.errors import MemoryTooSmall

GROWING = Memory(weights=1.01, work=1.1)
FIXED = Memory(weights=1.02, work=2.0)
"""What torch's allocator reserves for what is allocated, with segments that grow and without. The latter from one
measurement: 13.0 GiB reserved for 11.1 GiB of FLUX's weights and an evaluation of .86."""

EXACT = Memory(1.0, 1.0)

SLOTS = 2
"""Streamed blocks that are on the device at a time."""

RUNG = 0.85
"""Of the budget of a plan: the next lower one's."""

PROCESS_ON_CARD, PROCESS = 1600 * MIB, 700 * MIB
"""Of the processor's memory: Python, torch and its libraries, with CUDA and without."""

RAM_SHARE = 0.9
"""Of the machine's memory, for a process that needs it; the rest is the system's."""

WARM_SHARE = 0.5
"""Of the machine's memory, for networks that stay loaded when they compute on the processor."""


@frozen
class _Choice:
    """One way to run. ``blocks``: None is resident; else so many of FLUX's blocks stay, and the others are streamed."""

    blocks: int | None = None
    tiled: bool = False
    control_in_float8: bool = False
    read_on_processor: bool = False


_CHOICES = tuple(
    _Choice(blocks, tiled, control, read)
    for read in (False, True)
    for control in (False, True)
    for tiled in (False, True)
    for blocks in (None, 0)
)
"""In the order in which they are tried: what changes no result first, then tiles, then precision, then what is slow."""


def plans(
    recipe: str, workload: Workload, machine: Machine, asked_budget: int | None = None, compute: Compute | None = None
) -> tuple[Plan, ...]:
    """The plan to start with, and the lower ones in their order; each needs less than the one before.

    ``asked_budget``: bytes of the card, see :func:`~kiss3d_backend.devices.budget.budget_for`. ``compute``: a wish.
    Raises :class:`MemoryTooSmall`, with the figures, when no plan fits, and :class:`ParamsInvalid` for a half precision
    on the processor.
    """
    job = _Job(recipe, workload, machine, compute_for(machine, compute))
    if machine.device != "cuda":
        return _on_processor(job)
    budget = budget_for(machine, asked_budget)
    if budget is None:
        # A card that does not tell its memory cannot be planned for.
        budget = Budget(0, "the driver does not say how much memory the card has")
    found: list[Plan] = []
    limit = budget.torch
    while (plan := _best(job, budget, limit)) is not None:
        if not found or _settings(plan) != _settings(found[-1]):
            found.append(plan)
        limit = min(int(limit * RUNG), (plan.vram or 0) - 1)
    if not found:
        raise _too_small(job, budget)
    return _named(found)


@frozen
class _Job:
    recipe: str
    workload: Workload
    machine: Machine
    compute: Compute

    def demands(self, choice: _Choice) -> tuple[StageDemand, ...]:
        return demands(self.recipe, self.workload, self.compute, tiled=choice.tiled)

    @property
    def memory(self) -> Memory:
        return GROWING if self.machine.expandable_segments else FIXED


def _best(job: _Job, budget: Budget, limit: int) -> Plan | None:
    for choice in _CHOICES:
        if choice.control_in_float8 and not job.workload.control:
            continue
        plan = _most_kept(job, choice, budget, limit)
        if plan is not None:
            return plan
    return None


def _most_kept(job: _Job, choice: _Choice, budget: Budget, limit: int) -> Plan | None:
    """The plan of a choice that keeps as much as fits: the transformer, then networks from large to small, then blocks.

    None when it does not fit even when only the transformer is kept.
    """
    kept: tuple[ComponentName, ...] = ("flux transformer",)
    plan = _plan(job, choice, kept, budget, limit)
    if not _fits(plan, limit, job):
        return None
    by_size = sorted(plan.components.values(), key=lambda each: -each.device)
    for each in by_size:
        if each.name in kept or not each.device:
            continue
        more = _plan(job, choice, (*kept, each.name), budget, limit)
        if _fits(more, limit, job):
            kept, plan = (*kept, each.name), more
    if choice.blocks is None:
        return plan
    fewest, most = 0, len(FluxShape().blocks)
    while fewest < most:
        middle = (fewest + most + 1) // 2
        more = _plan(job, attrs.evolve(choice, blocks=middle), kept, budget, limit)
        if _fits(more, limit, job):
            fewest, plan = middle, more
        else:
            most = middle - 1
    return plan


def _fits(plan: Plan, limit: int, job: _Job) -> bool:
    """Whether nothing is over the limit, and what is kept is never asked to go."""
    reloaded = {name for stage in plan.warm for name in stage.loads}
    steady = not any(each.kept and each.name in reloaded for each in plan.components.values())
    return steady and (plan.vram or 0) <= limit and plan.ram <= int(job.machine.ram_total * RAM_SHARE)


def _plan(job: _Job, choice: _Choice, kept: Sequence[ComponentName], budget: Budget, limit: int) -> Plan:
    shape = FluxShape(guided=job.workload.guided)
    catalogue = components(shape, job.workload.loras, "float8" if choice.control_in_float8 else None)
    needed = job.demands(choice)
    used = _used(needed)
    planned: dict[ComponentName, ComponentPlan] = {}
    for name in used:
        component = catalogue[name]
        away = component.on_processor or (choice.read_on_processor and name == "flux text encoders")
        residence: Residence = "processor" if away else "resident" if name in kept else "offloaded"
        if name == "flux transformer" and choice.blocks is not None:
            residence = "streamed"
        planned[name] = _component(job, component, residence, choice.blocks or 0, shape, _work(needed, name))
    places = {each.name: _place(each, job.memory) for each in planned.values()}
    return _with_stages(job, "", choice, budget, limit, needed, planned, places, job.memory)


def _component(
    job: _Job, component: Component, residence: Residence, blocks: int, shape: FluxShape, work: int
) -> ComponentPlan:
    precision = component.precision(job.compute, products_for(job.machine))
    whole = component.weights(job.compute)
    if residence == "processor":
        # Float8 stays mapped there; the rest is widened.
        return ComponentPlan(
            component.name, Precision(precision.storage, "float32"), residence, 0, component.wide * 4, 0
        )
    if residence != "streamed":
        return ComponentPlan(component.name, precision, residence, whole, 0, work)
    resident, streamed = shape.blocks[:blocks], shape.blocks[blocks:]
    device = sum(resident) + SLOTS * max(streamed, default=0) + shape.outside_blocks
    return ComponentPlan(
        component.name,
        precision,
        residence,
        whole - sum(shape.blocks) - shape.outside_blocks + device,
        sum(streamed),
        work,
        blocks,
    )


def _place(planned: ComponentPlan, memory: Memory) -> Place:
    return Place(planned.name, int(planned.device * memory.weights), int(planned.work * memory.work), planned.kept)


def _with_stages(
    job: _Job,
    name: str,
    choice: _Choice,
    budget: Budget | None,
    limit: int,
    needed: Sequence[StageDemand],
    planned: dict[ComponentName, ComponentPlan],
    places: dict[str, Place],
    memory: Memory,
) -> Plan:
    host = {each.name: each.host for each in planned.values()}
    first, there = foresee(needed, places, host, limit, memory)
    again, _ = foresee(needed, places, host, limit, memory, there)
    on_card = job.machine.device == "cuda"
    room = int(job.machine.ram_total * RAM_SHARE)
    return Plan(
        name=name,
        device="cuda" if on_card else "cpu",
        budget=budget,
        limit=limit,
        compute=job.compute,
        products=products_for(job.machine),
        tiled_decode=choice.tiled,
        components=planned,
        places=places,
        cold=_stages(first, on_card, room, planned),
        warm=_stages(again, on_card, room, planned),
    )


def _stages(
    foreseen: Sequence[Foreseen], on_card: bool, room: int, planned: dict[ComponentName, ComponentPlan]
) -> tuple[StagePlan, ...]:
    stages: list[StagePlan] = []
    following: tuple[ComponentName, ...] = ()
    for each in reversed(foreseen):
        ram = each.host + (PROCESS_ON_CARD if on_card else PROCESS + each.device)
        # Files are read ahead only where the system can keep them until they are wanted.
        free, ahead = room - ram, list[ComponentName]()
        for name in following:
            size = planned[name].device + planned[name].host
            if size <= free:
                ahead.append(name)
                free -= size
        stages.append(StagePlan(each.stage, each.device if on_card else None, ram, each.loads, tuple(ahead)))
        following = each.loads or following
    return tuple(reversed(stages))


def _on_processor(job: _Job) -> tuple[Plan, ...]:
    """Everything computes on the processor: with networks that stay loaded, and one at a time in tiles."""
    ram = int(job.machine.ram_total * RAM_SHARE)
    found: list[Plan] = []
    for limit, tiled, keep in ((int(job.machine.ram_total * WARM_SHARE), False, True), (0, True, False)):
        choice = _Choice(tiled=tiled)
        needed = job.demands(choice)
        catalogue = components(FluxShape(guided=job.workload.guided), job.workload.loras)
        planned: dict[ComponentName, ComponentPlan] = {}
        places: dict[str, Place] = {}
        for name in _used(needed):
            each = catalogue[name]
            # What stays in the file's numbers is mapped and takes no memory of its own.
            planned[name] = ComponentPlan(
                name, each.precision("float32", "upcast"), "processor", 0, each.wide * 4, _work(needed, name)
            )
            places[name] = Place(name, each.wide * 4, _work(needed, name), keep)
        named = attrs.evolve(
            _with_stages(job, "", choice, None, limit, needed, planned, places, EXACT),
            name="processor" if keep else "processor, one network at a time",
        )
        if named.ram <= ram:
            found.append(named)
    if not found:
        raise MemoryTooSmall(
            f"This needs {named.ram / GIB:.1f} GiB of memory on the processor, "  # pyright: ignore[reportPossiblyUnboundVariable]
            f"and the machine has {job.machine.ram_total / GIB:.1f} GiB."
        )
    return tuple(found)


def _used(needed: Iterable[StageDemand]) -> tuple[ComponentName, ...]:
    return tuple(dict.fromkeys(name for demand in needed for phase in demand.phases for name in phase.uses))


def _work(needed: Iterable[StageDemand], name: ComponentName) -> int:
    """The most of the phases in which it is called for last: its place has room for them."""
    phases = [phase for demand in needed for phase in demand.phases if phase.uses[-1:] == (name,)]
    return max((phase.vram for phase in phases), default=0)


def _settings(plan: Plan) -> object:
    residences = {name: (each.residence, each.device) for name, each in plan.components.items()}
    return plan.tiled_decode, residences, {name: each.precision for name, each in plan.components.items()}


def _named(found: Sequence[Plan]) -> tuple[Plan, ...]:
    names: list[str] = []
    for plan in found:
        transformer = plan.components.get("flux transformer")
        if transformer is None:
            words = ["resident"]
        elif transformer.residence == "streamed":
            words = [f"streamed, {transformer.resident_blocks} of {len(FluxShape().blocks)} blocks stay"]
        else:
            words = ["resident"]
        words += ["decoded in tiles"] * plan.tiled_decode
        control = plan.components.get("controlnet")
        words += ["ControlNet in float8"] * (control is not None and control.precision.storage == "float8")
        encoders = plan.components.get("flux text encoders")
        words += ["text on the processor"] * (encoders is not None and encoders.residence == "processor")
        name = ", ".join(words)
        names.append(name if name not in names else f"{name}, {len(names) + 1}")
    return tuple(attrs.evolve(plan, name=name) for plan, name in zip(found, names, strict=True))


def _too_small(job: _Job, budget: Budget) -> MemoryTooSmall:
    """With the figures of the least plan."""
    choice = _Choice(blocks=0, tiled=True, control_in_float8=job.workload.control, read_on_processor=True)
    least = _plan(job, choice, ("flux transformer",), budget, 0)
    if (least.vram or 0) <= budget.torch:
        return MemoryTooSmall(
            f"This needs at least {least.ram / GIB:.1f} GiB of the computer's memory, because FLUX waits there for its "
            f"turn, and the machine has {job.machine.ram_total / GIB:.1f} GiB.",
            "Choose a lighter preset, or run the backend on a machine with more memory.",
        )
    worst = max(least.cold, key=lambda stage: stage.vram or 0)
    context = budget.card - budget.torch
    return MemoryTooSmall(
        f"This needs at least {((worst.vram or 0) + context) / GIB:.1f} GiB of the graphics card's memory (the step "
        f"'{worst.stage}' most of all), and the backend may take {budget.card / GIB:.1f} GiB ({budget.reason}).",
    )
