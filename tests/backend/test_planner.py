"""Plans for cards of every size: peaks below the budget, precision by the hardware, refusals with figures."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from attrs import evolve
from tests.fakes.machines import GIB, gpu, machine

from kiss3d_backend.devices.budget import CONTEXT, OTHERS, VIEWPORT, budget_for, read_budget
from kiss3d_backend.devices.foresight import foresee
from kiss3d_backend.devices.machine import Machine
from kiss3d_backend.devices.plan import Plan
from kiss3d_backend.devices.planner import plan as plan_of
from kiss3d_backend.devices.planner import plans
from kiss3d_backend.devices.room import Place, releases
from kiss3d_backend.devices.workload import WORKLOADS, workload_of
from kiss3d_protocol.errors import MemoryTooSmall, ParamsInvalid, PresetUnknown

GB = 10**9
BUDGETS = (6, 8, 12, 16, 24)
CAPABILITIES = ((7, 5), (8, 6), (8, 9), (9, 0))


def with_card(gigabytes: float, capability: tuple[int, int] = (8, 9), **changes: Any) -> Machine:
    """A card with exactly so many GB, all of them free."""
    total = int(gigabytes * GB)
    return machine(gpu=evolve(gpu(capability=capability), vram_total=total, vram_free=total), **changes)


def without_card(**changes: Any) -> Machine:
    return machine(device="cpu", gpu=None, **changes)


def first(recipe: str, preset: str, there: Machine, budget: int | None = None) -> Plan:
    return plan_of(recipe, workload_of(recipe, preset), there, budget)


def shape_of(plan: Plan) -> object:
    """What a user would call the plan: where each network is, and how the bundle is decoded."""
    return plan.tiled_decode, {name: (each.residence, each.resident_blocks) for name, each in plan.components.items()}


@pytest.mark.parametrize(
    ("preset", "capability", "expandable"),
    [*(("fast", capability, True) for capability in CAPABILITIES), ("fast", (8, 6), False), ("balanced", (8, 9), True)],
)
def test_every_size_of_card_has_a_plan_of_its_own_below_its_budget(
    preset: str, capability: tuple[int, int], expandable: bool
) -> None:
    shapes: list[object] = []
    for size in BUDGETS:
        there = with_card(size, capability, expandable_segments=expandable)
        plan = first("image_to_3d", preset, there, size * GB)
        assert plan.budget is not None
        assert plan.budget.card == size * GB
        for stage in (*plan.cold, *plan.warm):
            assert stage.vram is not None
            assert stage.vram <= plan.limit <= size * GB - CONTEXT
            assert stage.ram <= 0.9 * there.ram_total
        shapes.append(shape_of(plan))
    assert all(one != other for one, other in itertools.combinations(shapes, 2))


@pytest.mark.parametrize(
    ("size", "transformer", "text", "tiled"),
    [
        (6, "streamed", "processor", True),
        (8, "streamed", "offloaded", False),
        (12, "streamed", "offloaded", False),
        (16, "streamed", "offloaded", False),
        (24, "resident", "offloaded", False),
        (32, "resident", "resident", False),
    ],
)
def test_what_a_card_gets_for_the_fast_preset(size: int, transformer: str, text: str, tiled: bool) -> None:
    plan = first("image_to_3d", "fast", with_card(size), size * GB)
    assert plan.components["flux transformer"].residence == transformer
    assert plan.components["flux text encoders"].residence == text
    assert plan.tiled_decode is tiled


def test_more_room_keeps_more() -> None:
    found = [first("image_to_3d", "fast", with_card(size), size * GB) for size in BUDGETS]
    kept = [sum(each.device for each in plan.components.values() if each.kept) for plan in found]
    assert kept == sorted(kept) and len(set(kept)) >= len(kept) - 1
    assert len({plan.name for plan in found}) == len(found)


def test_the_twelve_gigabyte_cap_of_the_issue() -> None:
    """Never above 11.5 GiB reserved; and nothing is wasted: more than 9 GiB are used."""
    for preset in WORKLOADS:
        plan = first("image_to_3d", preset, with_card(80, (9, 0)), read_budget("12GB"))
        assert plan.vram is not None
        assert 9 * GIB < plan.vram < 11.5 * GIB - CONTEXT


@pytest.mark.parametrize(
    ("there", "compute", "products", "storage"),
    [
        (with_card(12, (7, 5)), "float16", "upcast", "float8"),
        (with_card(12, (8, 6)), "bfloat16", "upcast", "float8"),
        (with_card(12, (8, 9)), "bfloat16", "scaled", "float8"),
        (with_card(12, (9, 0)), "bfloat16", "scaled", "float8"),
        (without_card(), "float32", "upcast", "float8"),
    ],
)
def test_precision_by_the_hardware(there: Machine, compute: str, products: str, storage: str) -> None:
    plan = first("image_to_3d", "fast", there)
    transformer = plan.components["flux transformer"].precision
    assert (transformer.compute, transformer.products, transformer.storage) == (compute, products, storage)
    assert plan.components["flux text encoders"].precision.products == "upcast"
    assert plan.components["lrm"].precision.storage == compute


@pytest.mark.parametrize("compute", ["float16", "bfloat16"])
def test_a_half_precision_pipeline_on_the_processor_is_refused(compute: Any) -> None:
    with pytest.raises(ParamsInvalid, match=compute):
        plans("image_to_3d", WORKLOADS["fast"], without_card(), compute=compute)


def test_without_a_card_all_is_on_the_processor_and_the_lower_plan_takes_less() -> None:
    roomy, tight = plans("image_to_3d", WORKLOADS["fast"], without_card())
    assert {each.residence for each in roomy.components.values()} == {"processor"}
    assert roomy.vram is None and roomy.budget is None
    assert tight.ram < roomy.ram and tight.tiled_decode and not roomy.tiled_decode


@pytest.mark.parametrize("recipe", ["image_to_3d", "text_to_3d", "mesh_to_3d", "views_to_3d"])
def test_each_lower_plan_needs_clearly_less(recipe: str) -> None:
    found = plans(recipe, workload_of(recipe, "quality"), with_card(24))
    peaks = [plan.vram or 0 for plan in found]
    assert len(found) > 1 or recipe == "views_to_3d"
    assert all(lower <= 0.75 * higher for higher, lower in itertools.pairwise(peaks))
    assert len({plan.name for plan in found}) == len(found)


def test_a_card_that_is_too_small_is_refused_with_the_figures() -> None:
    with pytest.raises(MemoryTooSmall, match=r"at least 7\.\d+ GiB.*'bundle'.*5\.59 GiB") as raised:
        plans("image_to_3d", WORKLOADS["quality"], with_card(6), 6 * GB)
    needed = float(str(raised.value).split("at least ")[1].split()[0])
    # The figure is true: a little more is enough.
    assert plans("image_to_3d", WORKLOADS["quality"], with_card(80), int((needed + 0.1) * GIB))


def test_a_machine_with_too_little_memory_for_streaming_is_refused_with_the_figures() -> None:
    with pytest.raises(MemoryTooSmall, match=r"the computer's memory.*8\.0 GiB that there are"):
        plans("image_to_3d", WORKLOADS["fast"], with_card(12, ram_total=8 * GIB))
    with pytest.raises(MemoryTooSmall, match="Without a graphics card"):
        plans("image_to_3d", WORKLOADS["quality"], without_card(ram_total=4 * GIB))


def test_with_16_gib_of_memory_the_transformer_is_not_kept_between_jobs() -> None:
    plan = first("image_to_3d", "fast", with_card(8, ram_total=16 * GIB))
    assert not plan.components["flux transformer"].kept
    assert plan.ram <= 0.9 * 16 * GIB


def test_a_card_that_draws_the_desktop_leaves_room_for_the_viewport() -> None:
    drawing, alone = with_card(12), with_card(12)
    drawing = evolve(drawing, gpu=evolve(drawing.gpu, shares_display=True))
    with_viewport, without = budget_for(drawing), budget_for(alone)
    assert with_viewport is not None and without is not None
    assert with_viewport.card == 12 * GB - VIEWPORT and without.card == 12 * GB - OTHERS
    assert "viewport" in with_viewport.reason
    asked = budget_for(drawing, 12 * GB)
    assert asked is not None and asked.card == 12 * GB


def test_no_plan_takes_what_others_have() -> None:
    busy = with_card(24)
    busy = evolve(busy, gpu=evolve(busy.gpu, vram_free=9 * GB))
    budget = budget_for(busy, 20 * GB)
    assert budget is not None and budget.card == 9 * GB and "less than what was asked for" in budget.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12GB", 12 * GB), ("12", 12 * GB), ("11.5 GiB", int(11.5 * GIB)), ("6000 mb", 6 * GB), ("8g", 8 * GB)],
)
def test_a_budget_is_read(text: str, expected: int) -> None:
    assert read_budget(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-3GB", "12TB", "0.5GB", "12GB or so"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ParamsInvalid):
        read_budget(text)


def test_the_next_stages_files_are_read_ahead_only_where_memory_can_hold_them() -> None:
    roomy = first("image_to_3d", "fast", with_card(12, ram_total=64 * GIB))
    stages = {stage.stage: stage for stage in roomy.cold}
    assert stages["background"].prefetch == stages["multiview"].loads[: len(stages["background"].prefetch)] != ()
    assert "flux transformer" in stages["caption"].prefetch
    tight = first("image_to_3d", "fast", with_card(12, ram_total=18 * GIB))
    assert "flux transformer" not in {name for stage in tight.cold for name in stage.prefetch}


def test_a_job_after_its_like_loads_less() -> None:
    plan = first("image_to_3d", "fast", with_card(24))
    cold, warm = ([name for stage in stages for name in stage.loads] for stages in (plan.cold, plan.warm))
    assert set(warm) < set(cold)
    assert not {name for name in warm if plan.components[name].kept}


def test_the_peak_is_of_everything_that_is_there_at_once() -> None:
    """By hand: two networks and their work, the second of which needs the room of the first."""
    plan = first("text_to_3d", "fast", with_card(80))
    drawing = next(demand for demand in plan.demands if demand.stage == "bundle")
    draw = next(phase for phase in drawing.phases if phase.name == "draw")
    places = {name: Place(name, 10, 5, keep=False) for name in plan.places}
    exact = evolve(plan.memory, weights=1.0, work=1.0)
    (seen,), _ = foresee([evolve(drawing, phases=(evolve(draw, vram=5),))], places, {}, 1000, exact)
    assert seen.device == 10 * len(draw.uses) + 5


def test_room_is_made_by_what_is_not_kept_and_was_used_longest_ago() -> None:
    a, b, c = Place("a", 4), Place("b", 4, keep=True), Place("c", 4)
    wanted = Place("d", 4, work=2)
    assert releases([a, b, c], wanted, 18) == ()
    assert releases([a, b, c], wanted, 17) == (a,)
    assert releases([c, b, a], wanted, 17) == (c,)
    assert releases([b, a, c], wanted, 10) == (a, c)
    assert releases([b, a, c], wanted, 6) == (a, c, b)
    assert releases([a, wanted], wanted, 5) == (a,)


def test_presets_without_networks_have_no_plan() -> None:
    with pytest.raises(PresetUnknown):
        workload_of("image_to_3d", "draft")
