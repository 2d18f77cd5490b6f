"""``kiss3d plan``: how this machine would run a preset, before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from kiss3d_backend.config import default_data_dir
from kiss3d_backend.devices.budget import read_budget
from kiss3d_backend.devices.plan import ComponentPlan, Plan, StagePlan
from kiss3d_backend.devices.planner import plans
from kiss3d_backend.devices.probe import probe_machine
from kiss3d_backend.devices.torch_answer import ask_torch
from kiss3d_backend.devices.workload import workload_of
from kiss3d_backend.models.hub_cache import default_cache_root
from kiss3d_protocol.errors import RecipeUnknown
from kiss3d_protocol.params import RECIPES

GIB = 2**30


def run_plan(*, preset: str, recipe: str, vram_budget: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Prints the plan. Raises :class:`RecipeUnknown`, :class:`PresetUnknown`, :class:`ParamsInvalid` for a budget that
    cannot be read, and :class:`MemoryTooSmall`."""
    names = [each.name for each in RECIPES]
    if recipe not in names:
        raise RecipeUnknown(f"There is no recipe '{recipe:.64}'.", f"Choose one of: {', '.join(names)}.")
    workload = workload_of(recipe, preset)
    asked = None if vram_budget is None else read_budget(vram_budget)
    folder = data_dir or default_data_dir()
    machine = probe_machine(folder, default_cache_root(), ask_torch(), measure_disks=False)
    first, *lower = plans(recipe, workload, machine, asked)
    if as_json:
        print(json.dumps(document(machine.name, first, lower)))
        return
    console = Console(highlight=False)
    console.print(_heading(machine.name, first))
    console.print(_networks(first))
    console.print(_stages(first))
    for plan in lower:
        console.print(f"When memory runs out: {plan.name}", markup=False)


def document(device: str, first: Plan, lower: list[Plan]) -> dict[str, Any]:
    """The plan for programs; amounts in bytes."""
    return {
        "device": device,
        "plan": first.name,
        "budget": None if first.budget is None else {"bytes": first.budget.card, "reason": first.budget.reason},
        "compute": first.compute,
        "tiled_decode": first.tiled_decode,
        "compiled": first.compiled,
        "vram": first.vram,
        "ram": first.ram,
        "networks": [_network(each) for each in first.components.values()],
        "cold": [_stage(stage) for stage in first.cold],
        "warm": [_stage(stage) for stage in first.warm],
        "lower": [{"plan": plan.name, "vram": plan.vram, "ram": plan.ram} for plan in lower],
    }


def _network(each: ComponentPlan) -> dict[str, Any]:
    return {
        "network": each.name,
        "precision": str(each.precision),
        "residence": each.residence,
        "device": each.device,
        "host": each.host,
        "work": each.work,
        "kept": each.kept,
        "resident_blocks": each.resident_blocks,
    }


def _stage(stage: StagePlan) -> dict[str, Any]:
    return {
        "stage": stage.stage,
        "vram": stage.vram,
        "ram": stage.ram,
        "loads": list(stage.loads),
        "prefetch": list(stage.prefetch),
    }


def _heading(device: str, plan: Plan) -> str:
    if plan.budget is None:
        return f"{device}: {plan.name}"
    return f"{device}, {_gib(plan.budget.card)} GiB ({plan.budget.reason}): {plan.name}"


def _networks(plan: Plan) -> Table:
    table = Table("network", "precision", "where", "weights", "in RAM", "beside them", box=None)
    for each in plan.components.values():
        where = each.residence if each.kept or each.residence != "streamed" else "streamed, for one job"
        table.add_row(
            each.name, str(each.precision), where, _gib(each.device), _gib(each.host), _gib(each.work), style=None
        )
    return table


def _stages(plan: Plan) -> Table:
    table = Table("step", "VRAM, first job", "VRAM, next job", "RAM", "loads first", "reads ahead", box=None)
    for cold, warm in zip(plan.cold, plan.warm, strict=True):
        table.add_row(
            cold.stage,
            _gib(cold.vram),
            _gib(warm.vram),
            _gib(max(cold.ram, warm.ram)),
            ", ".join(cold.loads),
            ", ".join(cold.prefetch),
        )
    return table


def _gib(count: int | None) -> str:
    return "-" if not count else f"{count / GIB:.2f}"
