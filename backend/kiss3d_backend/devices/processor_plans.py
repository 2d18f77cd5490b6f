"""Plans for machines without a card that torch can use: everything computes on the processor, in float32. No torch."""

from __future__ import annotations

from kiss3d_backend.devices.budget import GIB, MIB
from kiss3d_backend.devices.components import ComponentName, components
from kiss3d_backend.devices.demand import used_in, work_of
from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.devices.foresight import Memory, foresee
from kiss3d_backend.devices.plan import ComponentPlan, Plan, StagePlan
from kiss3d_backend.devices.plan_choice import Job
from kiss3d_backend.devices.room import Place
from kiss3d_protocol.errors import MemoryTooSmall

EXACT = Memory(1.0, 1.0)

PROCESS = 700 * MIB
"""Of the processor's memory: Python, torch and its libraries without CUDA."""

WARM_SHARE = 0.5
"""Of the machine's memory, for networks that stay loaded with what they compute."""


def processor_plans(job: Job, ram: int) -> tuple[Plan, ...]:
    """With networks that stay loaded while there is room, and with one at a time and the bundle decoded in tiles.

    ``ram``: bytes that the process may take. Raises :class:`MemoryTooSmall` when neither fits.
    """
    roomy = _plan(job, "processor", int(job.machine.ram_total * WARM_SHARE), tiled=False, keep=True)
    tight = _plan(job, "processor, one network at a time", 0, tiled=True, keep=False)
    fitting = tuple(plan for plan in (roomy, tight) if plan.ram <= ram)
    if not fitting:
        raise MemoryTooSmall(
            f"Without a graphics card this needs at least {tight.ram / GIB:.1f} GiB of the computer's memory; of the "
            f"{job.machine.ram_total / GIB:.1f} GiB that there are, {ram / GIB:.1f} GiB can be counted on.",
            "Choose a lighter preset, or run the backend on a machine with more memory or a graphics card.",
        )
    return fitting


def _plan(job: Job, name: str, limit: int, *, tiled: bool, keep: bool) -> Plan:
    needed = job.demands(tiled=tiled)
    catalogue = components(FluxShape(guided=job.workload.guided), job.workload.loras)
    planned: dict[ComponentName, ComponentPlan] = {}
    for each in used_in(needed):
        component, work = catalogue[each], work_of(needed, each)
        # What stays in the file's numbers is mapped and takes no memory of its own.
        held, precision = component.wide * 4, component.precision(job.compute, "upcast")
        planned[each] = ComponentPlan(each, precision, "processor", 0, held, work, keep)
    places = {each.name: Place(each.name, each.host, each.work, each.kept) for each in planned.values()}
    first, there = foresee(needed, places, {}, limit, EXACT)
    again, _ = foresee(needed, places, {}, limit, EXACT, there)
    cold, warm = (
        tuple(StagePlan(each.stage, None, PROCESS + each.device + each.host, each.loads) for each in foreseen)
        for foreseen in (first, again)
    )
    return Plan(
        name=name,
        device="cpu",
        budget=None,
        limit=limit,
        process=PROCESS,
        memory=EXACT,
        compute=job.compute,
        products="upcast",
        tiled_decode=tiled,
        compiled=False,
        attention="default",
        components=planned,
        places=places,
        demands=needed,
        cold=cold,
        warm=warm,
    )
