"""Memory runs out in a stage: the next lower plan is taken, that stage runs again, and everybody is told."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

import numpy as np
import pytest
from tests.stages.context import Record

from kiss3d_backend.pipeline.memory import MemoryUse, is_out_of_memory
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.report import RunReport
from kiss3d_backend.pipeline.runner import run_recipe
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Mesh
from kiss3d_protocol.errors import OutOfMemory

MESH = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], dtype=np.int32))
PLANS = ("roomy", "tight", "least")
SHARES = {"roomy": 100, "tight": 60, "least": 30}


class Card:
    """A device with room for ``room`` bytes: a stage takes what its plan says, or more where ``surprises`` say so."""

    def __init__(self, room: int, surprises: dict[str, int] | None = None) -> None:
        self.room, self.surprises = room, surprises or {}
        self.plan = FakePlan()
        self.taken = 0

    def allocate(self, stage: str) -> None:
        wanted = SHARES[self.plan.name] + self.surprises.get(stage, 0)
        if wanted > self.room:
            raise MemoryError(f"{wanted} of {self.room}")
        self.taken = max(self.taken, wanted)


class FakePlan:
    def __init__(self) -> None:
        self.rung = 0
        self.begun: list[tuple[str, str]] = []

    @property
    def name(self) -> str:
        return PLANS[self.rung]

    @property
    def lowest(self) -> bool:
        return self.rung == len(PLANS) - 1

    def begin(self, stage: str) -> MemoryUse:
        self.begun.append((stage, self.name))
        return MemoryUse(vram=SHARES[self.name], ram=1)

    def used(self, stage: str) -> dict[str, str]:
        return {}

    def lower(self) -> None:
        self.rung += 1


class CardMeter:
    def __init__(self, card: Card) -> None:
        self._card, self.running = card, False

    def start(self) -> None:
        self._card.taken, self.running = 0, True

    def stop(self) -> MemoryUse:
        self.running = False
        return MemoryUse(vram=self._card.taken, vram_allocated=self._card.taken - 1, ram=2)


class Work(Stage[int, int]):
    kept = True
    weight = 1.0

    def __init__(self, name: str, card: Card, before: Callable[[StageContext], None] = lambda _: None) -> None:
        self.name, self.title, self._card, self._before = name, name.capitalize(), card, before
        self.drawn: list[float] = []

    def run(self, value: int, context: StageContext) -> int:
        self.drawn.append(float(context.generator.random()))
        self._before(context)
        self._card.allocate(self.name)
        return value + 1


class Three(Recipe):
    name = "three"

    def __init__(self, card: Card) -> None:
        self.stages = tuple(Work(name, card) for name in ("one", "two", "three"))

    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        value = 0
        for stage in self.stages:
            value = run.stage(stage, value)
        assert value == 3
        return MESH


class Kept:
    def __init__(self) -> None:
        self.values: dict[str, object] = {}

    def load(self, key: str) -> tuple[object] | None:
        return (self.values[key],) if key in self.values else None

    def save(self, key: str, value: object) -> None:
        self.values[key] = value


def run(card: Card, recipe: Recipe | None = None, kept: Kept | None = None) -> tuple[RunReport, Record, Recipe]:
    record, recipe = Record(), recipe or Three(card)
    meter = CardMeter(card)
    try:
        report = run_recipe(
            recipe, JobInputs(seed=5), record, threading.Event(), kept or Kept(), meter=meter, plan=card.plan
        )
    finally:
        assert not meter.running
    return report, record, recipe


@pytest.mark.parametrize("stage", ["one", "two", "three"])
def test_the_job_ends_one_plan_lower_and_says_so(stage: str) -> None:
    card = Card(120, {stage: 30})
    report, record, recipe = run(card)
    names = [each.name for each in report.stages]
    at = names.index(stage)
    assert [each.plan for each in report.stages] == ["roomy"] * at + ["tight"] * (3 - at)
    assert [each.lowered for each in report.stages] == [int(name == stage) for name in names]
    assert [each.planned_vram for each in report.stages] == [SHARES[each.plan] for each in report.stages]
    assert [each.peak_vram for each in report.stages] == [
        SHARES[each.plan] + card.surprises.get(each.name, 0) for each in report.stages
    ]
    (warning,) = report.warnings
    assert warning.code == "memory.plan_lowered"
    assert '"roomy"' in warning.message and '"tight"' in warning.message and stage.capitalize() in warning.message
    assert record.warning_codes() == ["memory.plan_lowered"]
    # Nothing but the stage that failed ran twice, and it drew the same numbers again.
    assert [len(each.drawn) for each in recipe.stages] == [1 + int(name == stage) for name in names]
    assert len(set(recipe.stages[at].drawn)) == 1


def test_it_goes_down_as_far_as_it_must() -> None:
    report, record, _ = run(Card(40))
    assert [each.plan for each in report.stages] == ["least"] * 3
    assert report.stages[0].lowered == 2
    assert record.warning_codes() == ["memory.plan_lowered"] * 2


def test_at_the_lowest_plan_the_error_is_told() -> None:
    with pytest.raises(OutOfMemory, match='"One"'):
        run(Card(20))


def test_a_result_from_a_checkpoint_does_not_tell_of_a_plan_that_was_lowered_then() -> None:
    kept = Kept()
    run(Card(120, {"two": 30}), kept=kept)
    report, record, _ = run(Card(120), kept=kept)
    assert all(each.from_checkpoint for each in report.stages)
    assert record.warning_codes() == [] and report.warnings == ()


def test_what_the_failed_try_held_is_gone_before_the_plan_is_lowered() -> None:
    class Held:
        pass

    held: list[weakref.ref[Held]] = []

    def hold(_: StageContext) -> None:
        mine = Held()
        held.append(weakref.ref(mine))
        if len(held) == 1:
            raise MemoryError

    card = Card(100)
    recipe = Three(card)
    recipe.stages = (Work("one", card, hold), *recipe.stages[1:])
    alive: list[bool] = []
    lower = card.plan.lower
    card.plan.lower = lambda: (alive.append(held[0]() is not None), lower())[1]
    run(card, recipe)
    assert alive == [False]


def test_torchs_own_error_and_the_drivers_count() -> None:
    torch = pytest.importorskip("torch")
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert is_out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("CUDA out of memory"))
