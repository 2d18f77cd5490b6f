"""The runner: events in order, a fraction that never falls, and every failure as the right error."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from tests.stages.context import Record

from kiss3d_backend.networks.loading import note_load
from kiss3d_backend.pipeline.clock import JobClock
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.report import StageReport
from kiss3d_backend.pipeline.runner import run_recipe
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Mesh, Picture
from kiss3d_protocol.errors import JobCancelled, OutOfMemory, PictureWithoutObject, StageFailed

MESH = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], dtype=np.int32))


class Step(Stage[int, int]):
    """Adds one, or does what it is told."""

    def __init__(self, name: str, weight: float, work: Callable[[StageContext], None] = lambda _: None) -> None:
        self.name, self.title, self.weight, self._work = name, name.capitalize(), weight, work

    def run(self, value: int, context: StageContext) -> int:
        for step in range(1, 5):
            context.progress(step, 4)
        self._work(context)
        return value + 1


class Steps(Recipe):
    name = "steps"

    def __init__(self, *stages: Step) -> None:
        self.stages = stages

    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        value = 0
        for stage in self.stages:
            value = run.stage(stage, value)
        assert value == len(self.stages)
        run.mesh_ready(MESH, "coarse")
        return MESH


def run(*stages: Step, cancel: threading.Event | None = None) -> tuple[Record, object]:
    record = Record()
    report = run_recipe(Steps(*stages), JobInputs(b"", 3), record, cancel or threading.Event())
    return record, report


def test_events_and_report() -> None:
    def tell(context: StageContext) -> None:
        context.warn("some.code", "Something.", "Do this.")
        context.preview(Picture(np.zeros((2, 3, 4), dtype=np.uint8)))

    record, report = run(Step("one", 1), Step("two", 3, tell))
    assert record.of("started") == [("one", "One", 0, 2), ("two", "Two", 1, 2)]
    fractions = [event[3] for event in record.of("progress")]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert 0.25 in fractions
    assert [quality for _, quality in record.of("mesh")] == ["coarse", "final"]
    assert record.events[-1][0] == "mesh"
    assert record.of("preview")[0][1].shape == (2, 3, 4)
    assert record.of("warning") == [("some.code", "Something.", "Do this.")]
    assert [(stage.name, stage.title) for stage in report.stages] == [("one", "One"), ("two", "Two")]
    assert sum(stage.seconds for stage in report.stages) <= report.seconds
    assert [warning.code for warning in report.warnings] == ["some.code"]


def failing(error: BaseException) -> Step:
    def work(_: StageContext) -> None:
        raise error

    return Step("two", 1, work)


def test_an_error_for_people_passes_through() -> None:
    with pytest.raises(PictureWithoutObject, match="Nothing there"):
        run(Step("one", 1), failing(PictureWithoutObject("Nothing there.")))


def test_memory_error_becomes_out_of_memory() -> None:
    with pytest.raises(OutOfMemory, match='"Two"') as raised:
        run(Step("one", 1), failing(MemoryError()))
    assert isinstance(raised.value.__cause__, MemoryError)


def test_any_other_error_names_the_stage() -> None:
    with pytest.raises(StageFailed, match='"Two" failed: ZeroDivisionError: boom') as raised:
        run(Step("one", 1), failing(ZeroDivisionError("boom")))
    assert isinstance(raised.value.__cause__, ZeroDivisionError)


def test_an_interrupt_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(failing(KeyboardInterrupt()))


def test_cancel_within_a_step_stops_at_the_next_sign_of_life() -> None:
    cancel = threading.Event()
    reached: list[str] = []

    def work(context: StageContext) -> None:
        cancel.set()
        context.check_cancelled()
        reached.append("after the cancel")

    with pytest.raises(JobCancelled):
        run(Step("one", 1, work), Step("two", 1), cancel=cancel)
    assert reached == []


def test_cancel_before_the_final_mesh_leaves_no_final_mesh() -> None:
    cancel = threading.Event()
    record = Record()

    class Late(Steps):
        def wire(self, inputs: JobInputs, run: Run) -> Mesh:
            mesh = super().wire(inputs, run)
            cancel.set()
            return mesh

    with pytest.raises(JobCancelled):
        run_recipe(Late(Step("one", 1)), JobInputs(b""), record, cancel)
    assert [quality for _, quality in record.of("mesh")] == ["coarse"]


def test_warnings_of_libraries_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    def work(_: StageContext) -> None:
        warnings.warn("old thing", UserWarning, stacklevel=1)

    with caplog.at_level(logging.WARNING):
        run(Step("one", 1, work))
    assert "stage one: UserWarning: old thing" in caplog.text


def test_a_recipe_that_leaves_its_order_is_found_out() -> None:
    class Unordered(Steps):
        def wire(self, inputs: JobInputs, run: Run) -> Mesh:
            run.stage(self.stages[1], 0)
            run.stage(self.stages[0], 0)
            return MESH

    with pytest.raises(AssertionError, match="out of its declared order"):
        run_recipe(Unordered(Step("one", 1), Step("two", 1)), JobInputs(b""), Record(), threading.Event())


def test_random_numbers_come_from_the_seed_and_the_stage() -> None:
    drawn: list[float] = []
    draw = Step("one", 1, lambda context: drawn.append(context.generator.random()))
    run(draw, Step("two", 1, lambda context: drawn.append(context.generator.random())))
    run(draw, Step("two", 1, lambda context: drawn.append(context.generator.random())))
    assert drawn[:2] == drawn[2:]
    assert drawn[0] != drawn[1]


def test_the_clock_knows_the_seconds_left() -> None:
    time = [0.0]
    clock = JobClock([1.0, 3.0], lambda: time[0])
    assert clock.advance(0, 0, 4) == (0.0, None)
    time[0] = 2.0
    assert clock.advance(0, 4, 4) == (0.25, pytest.approx(6.0))
    assert clock.advance(0, 1, 4)[0] == 0.25
    time[0] = 6.0
    assert clock.advance(1, 9, 4) == (1.0, pytest.approx(0.0))


@pytest.mark.parametrize("weights", [[], [1.0, 0.0]])
def test_the_clock_needs_weights(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        JobClock(weights)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match="seed"):
        JobInputs(b"", seed)


def test_every_stage_that_ran_is_told_with_what_it_loaded_checked_and_used() -> None:
    def work(context: StageContext) -> None:
        note_load("lrm", 1.5)
        context.checked("bundle.iou", 0.8, least=0.9, view=2)
        context.checked("bundle.offset", 1.0, most=4.0, bundle=3)
        context.uses("rasterizer", "numba")

    told: list[StageReport] = []
    recipe = Steps(Step("one", 1, work), failing(ZeroDivisionError("boom")), Step("three", 1))
    with pytest.raises(StageFailed):
        run_recipe(recipe, JobInputs(b"", 3), Record(), threading.Event(), stage_ended=told.append)
    assert [(stage.name, stage.completed) for stage in told] == [("one", True), ("two", False)]
    assert [(load.name, load.seconds) for load in told[0].loads] == [("lrm", 1.5)]
    assert told[0].used == {"rasterizer": "numba"} and told[1].loads == told[1].checks == ()
    assert [(check.name, check.passed, check.bundle, check.view) for check in told[0].checks] == [
        ("bundle.iou", False, 0, 2),
        ("bundle.offset", True, 3, None),
    ]
    note_load("nobody listens", 1.0)
