"""A job's plan at work: what is told before a stage, what is read ahead, and the way down when memory runs out."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from tests.fakes.machines import gpu, machine
from tests.stages.context import Record

from kiss3d_backend.devices.plan import Plan
from kiss3d_backend.devices.planner import plans
from kiss3d_backend.devices.workload import workload_of
from kiss3d_backend.networks.read_ahead import Range, ReadAhead, tensors_under, whole
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.runner import run_recipe
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Mesh
from kiss3d_backend.recipes.job_plan import JobPlan
from kiss3d_protocol.errors import OutOfMemory

MESH = Mesh(np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], dtype=np.int32))
CARD = machine(gpu=gpu(vram=24.0))
PLANS = plans("image_to_3d", workload_of("image_to_3d", "fast"), CARD)
STAGES = [stage.stage for stage in PLANS[0].cold]


class FakeLibrary:
    """Keeps what it is told, and a device that is as large as ``room``, whatever a plan may believe."""

    def __init__(self) -> None:
        self.plan: Plan | None = None
        self.loaded: tuple[str, ...] = ()
        self.ahead: list[list[str]] = []
        self.reserved: list[int] = []
        self.cleared = 0

    def follow(self, plan: Plan) -> None:
        self.plan = plan

    def read_ahead(self, components: Iterable[str]) -> None:
        self.ahead.append(list(components))

    def reserve(self, work: int) -> None:
        self.reserved.append(work)

    def clear(self) -> None:
        self.cleared += 1
        self.loaded = ()


class Stubborn(Stage[int, int]):
    """Takes what is planned for it, times a factor: what the planner did not foresee."""

    weight = 1.0

    def __init__(self, name: str, library: FakeLibrary, room: int, factor: float) -> None:
        self.name, self.title = name, name.capitalize()
        self._library, self._room, self._factor = library, room, factor

    def run(self, value: int, context: StageContext) -> int:
        assert self._library.plan is not None
        planned = max(stage.vram or 0 for stage in self._library.plan.warm)
        if planned * self._factor > self._room:
            raise MemoryError
        return value


class Pipeline(Recipe):
    name = "pipeline"

    def __init__(self, library: FakeLibrary, room: int, failing: str, factor: float = 1.2) -> None:
        self.stages = tuple(Stubborn(name, library, room, factor if name == failing else 0.0) for name in STAGES)

    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        for stage in self.stages:
            run.stage(stage, 0)
        return MESH


def job(library: FakeLibrary) -> JobPlan:
    return JobPlan(library, PLANS)  # type: ignore[arg-type]


@pytest.mark.parametrize("failing", STAGES)
def test_memory_runs_out_in_each_stage_in_turn_and_the_job_ends_one_plan_lower(failing: str) -> None:
    library, record = FakeLibrary(), Record()
    room = PLANS[0].vram or 0
    recipe = Pipeline(library, room, failing)
    report = run_recipe(recipe, JobInputs(), record, threading.Event(), plan=job(library))
    before = STAGES.index(failing)
    assert [stage.plan for stage in report.stages] == [PLANS[0].name] * before + [PLANS[1].name] * (
        len(STAGES) - before
    )
    assert [stage.lowered for stage in report.stages] == [int(name == failing) for name in STAGES]
    assert [warning.code for warning in report.warnings] == ["memory.plan_lowered"] == record.warning_codes()
    assert library.plan is PLANS[1] and library.cleared == 1
    assert all(stage.planned_vram is not None and stage.planned_ram for stage in report.stages)


def test_the_report_says_where_flux_was_and_whether_the_budget_is_why() -> None:
    small = plans("image_to_3d", workload_of("image_to_3d", "fast"), CARD, 8 * 10**9)
    for unbound, expected in ((PLANS[0], {"transformer": "streamed", "bound_by": "budget"}), (None, {})):
        library = FakeLibrary()
        bound = JobPlan(library, small, unbound=unbound)  # type: ignore[arg-type]
        report = run_recipe(Pipeline(library, 1, ""), JobInputs(), Record(), threading.Event(), plan=bound)
        used = {stage.name: stage.used for stage in report.stages}
        assert used["bundle"] == {"transformer": "streamed"} | expected
        assert not any(told for name, told in used.items() if name != "bundle")
    assert JobPlan(FakeLibrary(), PLANS, unbound=PLANS[0]).used("bundle") == {"transformer": "resident"}  # type: ignore[arg-type]


def test_below_the_least_plan_there_is_only_the_error() -> None:
    library = FakeLibrary()
    plan = job(library)
    with pytest.raises(OutOfMemory, match="Bundle"):
        run_recipe(Pipeline(library, 1, "bundle"), JobInputs(), Record(), threading.Event(), plan=plan)
    assert plan.lowest and library.plan is PLANS[-1]


def test_what_is_planned_follows_from_what_is_loaded() -> None:
    library = FakeLibrary()
    plan = job(library)
    cold = {name: plan.begin(name).vram for name in STAGES}
    kept = [name for name, each in PLANS[0].components.items() if each.kept]
    library.loaded = tuple(kept)
    warm = {name: plan.begin(name).vram for name in STAGES}
    assert cold["multiview"] is not None and warm["multiview"] is not None
    assert cold["multiview"] < warm["multiview"] <= (PLANS[0].vram or 0)
    assert all((warm[name] or 0) >= (cold[name] or 0) for name in STAGES)


def test_a_stage_that_was_not_planned_for_has_no_figures() -> None:
    use = job(FakeLibrary()).begin("split_bundle")
    assert (use.vram, use.ram) == (None, None)


def test_only_what_is_not_loaded_is_read_ahead() -> None:
    library = FakeLibrary()
    plan = job(library)
    plan.begin("multiview")
    assert "lrm" in library.ahead[-1]
    library.loaded = ("lrm",)
    plan.begin("multiview")
    assert "lrm" not in library.ahead[-1]


def test_work_without_a_network_has_its_room() -> None:
    library = FakeLibrary()
    job(library).begin("refine")
    assert library.reserved[-1] > 0
    job(library).begin("bundle")
    assert library.reserved[-1] == 0


def test_the_ranges_of_a_files_part(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"a": "b"},
        "t5.one": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
        "vae.one": {"dtype": "U8", "shape": [2], "data_offsets": [4, 6]},
        "t5.two": {"dtype": "U8", "shape": [3], "data_offsets": [6, 9]},
        "t5.three": {"dtype": "U8", "shape": [1], "data_offsets": [9, 10]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(10))
    start = 8 + len(text)
    assert tensors_under(path, ("t5.",)) == (Range(path, start, start + 4), Range(path, start + 6, start + 10))
    assert whole(path) == Range(path, 0, start + 10)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match="no safetensors"):
        tensors_under(path, ("t5.",))


def test_reading_ahead_reads_to_the_end_or_until_it_is_told_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    ahead = ReadAhead()
    ahead.start([whole(path), Range(tmp_path / "gone", 0, 10)])
    assert ahead.wait(5.0)
    ahead.start([])
    ahead.stop()
    assert ahead.wait(5.0)
