"""From what a recipe needs and what a machine has to how it runs there: a pure function. No torch.

The plan that is taken first is the one that keeps most on the device and changes least in what is computed. Below it
come plans for ever smaller budgets, down to the least that there is: what a worker goes down when memory runs out.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from kiss3d_backend.devices.budget import CONTEXT, GIB, Budget, budget_for
from kiss3d_backend.devices.components import ComponentName
from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.devices.machine import Machine
from kiss3d_backend.devices.plan import Plan
from kiss3d_backend.devices.plan_choice import CHOICES, Choice, Job, choice_words, plan_for
from kiss3d_backend.devices.precision import Compute, compute_for
from kiss3d_backend.devices.processor_plans import processor_plans
from kiss3d_backend.devices.workload import Workload
from kiss3d_protocol.errors import MemoryTooSmall

RUNG = 0.75
"""Of the peak of a plan: the next lower one's limit."""

RAM_SHARE = 0.9
"""Of the machine's memory, for a process that needs it; the rest is the system's."""

_MOST = 200 * GIB
_SEARCH_STEP = GIB // 16


def plan(
    recipe: str, workload: Workload, machine: Machine, asked_budget: int | None = None, compute: Compute | None = None
) -> Plan:
    """The plan to start with. For the arguments and the errors see :func:`plans`."""
    return next(_downwards(recipe, workload, machine, asked_budget, compute))


def plans(
    recipe: str, workload: Workload, machine: Machine, asked_budget: int | None = None, compute: Compute | None = None
) -> tuple[Plan, ...]:
    """The plan to start with, and the lower ones in their order; each needs less than the one before.

    ``asked_budget``: bytes of the card, see :func:`~kiss3d_backend.devices.budget.budget_for`. ``compute``: a wish.
    Raises :class:`MemoryTooSmall`, with the figures, when no plan fits, and :class:`ParamsInvalid` for a half precision
    on the processor.
    """
    return tuple(_downwards(recipe, workload, machine, asked_budget, compute))


def _downwards(
    recipe: str, workload: Workload, machine: Machine, asked_budget: int | None, compute: Compute | None
) -> Iterator[Plan]:
    job = Job(recipe, workload, machine, compute_for(machine, compute))
    ram = int(machine.ram_total * RAM_SHARE)
    if machine.device != "cuda":
        yield from processor_plans(job, ram)
        return
    budget = budget_for(machine, asked_budget)
    if budget is None:
        raise MemoryTooSmall(
            "The driver does not say how much memory the graphics card has, so nothing can be planned for it.",
            "Update the driver of the graphics card; 'kiss3d doctor' says which one it is.",
        )
    found = _best(job, budget, budget.torch, ram)
    if found is None:
        raise _too_small(job, budget, ram)
    while found is not None:
        yield found
        found = _best(job, budget, int((found.vram or 0) * RUNG), ram)


def _best(job: Job, budget: Budget, limit: int, ram: int) -> Plan | None:
    for choice in CHOICES:
        if choice.control_in_float8 and not job.workload.control:
            continue
        plan = _most_kept(job, choice, budget, limit, ram)
        if plan is not None:
            return attrs.evolve(plan, name=f"{choice_words(plan)}, {(plan.vram or 0) / GIB:.1f} GiB")
    return None


def _most_kept(job: Job, choice: Choice, budget: Budget, limit: int, ram: int) -> Plan | None:
    """The plan of a choice that keeps as much as fits: the transformer, then as many networks as there is room for, as
    each costs its own time to be made again, then blocks.

    None when it does not fit without any other network.
    """
    kept: tuple[ComponentName, ...] = ("flux transformer",) if choice.transformer_stays else ()
    plan = plan_for(job, choice, kept, budget, limit)
    if not _fits(plan, limit, ram):
        return None
    for each in sorted(plan.components.values(), key=lambda each: each.device):
        if each.name in kept or each.name == "flux transformer" or not each.device:
            continue
        wanted: tuple[ComponentName, ...] = (*kept, each.name)
        more = plan_for(job, choice, wanted, budget, limit)
        if _fits(more, limit, ram):
            kept, plan = wanted, more
    if choice.blocks is None:
        return plan
    fewest, most = 0, len(FluxShape().blocks)
    while fewest < most:
        middle = (fewest + most + 1) // 2
        more = plan_for(job, attrs.evolve(choice, blocks=middle), kept, budget, limit)
        if _fits(more, limit, ram):
            fewest, plan = middle, more
        else:
            most = middle - 1
    return plan


def _fits(plan: Plan, limit: int, ram: int) -> bool:
    """Whether nothing is over the limits, and what is kept is never asked to go."""
    reloaded = {name for stage in plan.warm for name in stage.loads}
    steady = not any(each.kept and each.name in reloaded for each in plan.components.values())
    return steady and (plan.vram or 0) <= limit and plan.ram <= ram


def _too_small(job: Job, budget: Budget, ram: int) -> MemoryTooSmall:
    """With the figures of the least plan that there is."""
    least = _least(job, budget, _MOST)
    if least.limit <= budget.torch:
        return MemoryTooSmall(
            f"This needs at least {least.ram / GIB:.1f} GiB of the computer's memory, because FLUX waits there for its "
            f"turn on the graphics card; of the {job.machine.ram_total / GIB:.1f} GiB that there are, "
            f"{ram / GIB:.1f} GiB can be counted on.",
            "Choose a larger --vram-budget or a lighter preset, or run the backend on a machine with more memory.",
        )
    needed = least.limit + CONTEXT
    worst = max((*least.cold, *least.warm), key=lambda stage: stage.vram or 0)
    return MemoryTooSmall(
        f"This needs at least {needed / GIB:.2f} GiB of the graphics card's memory (the step "
        f"'{worst.stage}' most of all), and the backend may take {budget.card / GIB:.2f} GiB: {budget.reason}."
    )


def _least(job: Job, budget: Budget, ram: int) -> Plan:
    """The plan with the smallest limit that works at all."""
    low, high = 0, _MOST
    found = _best(job, budget, high, ram)
    while high - low > _SEARCH_STEP:
        middle = (low + high) // 2
        plan = _best(job, budget, middle, ram)
        if plan is None:
            low = middle
        else:
            found, high = plan, middle
    assert found is not None, "with memory enough there is a plan"
    return found
