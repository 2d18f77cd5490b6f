"""Many jobs of one command: what comes is kept once, what fails is told, what was begun is asked for again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from blender_addon.commands.display import Display
from blender_addon.commands.items import Item, items_of_jobs
from blender_addon.commands.runner import Runner
from blender_addon.connection import AddressTarget, LocalTarget
from blender_addon.importer.kept import Kept
from blender_addon.job import Job
from blender_addon.job_inputs import JobInputs
from blender_addon.job_state import JobState
from tests.addon.conftest import PICTURE, Bench, Target
from tests.fakes.meshes import sphere
from tests.fakes.scripted_backend import Never, ScriptedBackend, ScriptedJob, Step, coarse_then_final

from kiss3d_protocol.batch.manifest import Entry, Manifest
from kiss3d_protocol.errors import (
    BackendStartFailed,
    OutOfMemory,
    OutputUnwritable,
    PictureMissing,
    PictureUnreadable,
)
from kiss3d_protocol.messages import JobSummary
from kiss3d_protocol.params import GenerateParams


@dataclass
class NotedOutput:
    """Every call as (what, name or job)."""

    save_seconds: float = 0.0
    calls: list[tuple[str, str]] = field(default_factory=list)
    problem: Exception | None = None
    previews: dict[str, bytes | None] = field(default_factory=dict)

    def has(self, entry: Entry) -> bool:
        return True

    def lay_out(self, names: Any) -> None:
        pass

    def target(self, job: str, name: str, title: str) -> Any:
        return Target(title, job=job)

    def keep(self, name: str, job: Job) -> Kept:
        if self.problem is not None:
            raise self.problem
        self.calls.append(("keep", name))
        self.previews[name] = getattr(job.target, "preview", None)
        return Kept(f"{name}.glb", 720)

    def drop(self, target: Target) -> None:
        self.calls.append(("drop", target.name))

    def save(self) -> None:
        self.calls.append(("save", ""))

    def of(self, what: str) -> list[str]:
        return [name for one, name in self.calls if one == what]


@dataclass
class Run:
    """A runner of items, and what it left."""

    bench: Bench
    backend: str
    folder: Path
    output: NotedOutput = field(default_factory=NotedOutput)
    said: io.StringIO = field(default_factory=io.StringIO)
    entries: dict[str, Entry] = field(default_factory=dict)

    def run(
        self,
        items: list[Item],
        before: list[Entry] | None = None,
        target: Any = None,
        display: Display | None = None,
        **more: Any,
    ) -> None:
        display = display or Display(self.said)
        display.expect(len(items))
        with Manifest(self.folder / "manifest.jsonl") as manifest, display:
            for entry in before or ():
                manifest.write(entry)
            backend = AddressTarget(self.backend) if target is None else target
            runner = Runner(self.bench.monitor, backend, manifest, self.output, display, **{"jobs": 4, **more})
            try:
                runner.run(items)
            finally:
                self.entries = manifest.entries

    @property
    def states(self) -> dict[str, str]:
        return {name: entry.state for name, entry in self.entries.items()}


class Interrupted(Display):
    """As if somebody pressed Ctrl-C when the first job has begun."""

    pressed = False

    def show(self, state: JobState) -> None:
        if state.stages and not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt


def item(name: str, problem: Exception | None = None) -> Item:
    def take() -> JobInputs:
        if problem is not None:
            raise problem
        return JobInputs(PICTURE.name, PICTURE)

    return Item(name, name.rpartition("/")[2], lambda: f"digest of {name}", GenerateParams(), take)


def fails(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield job.mesh("coarse", sphere(8, 6))
    yield job.failed("job.out_of_memory", "The memory was full.", "Close other programs.")


def stands_still(job: ScriptedJob) -> Iterator[Step]:
    yield job.stage("shape", 0, 1)
    yield Never()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_broken_ones_in_the_middle_do_not_stop_the_others(bench: Bench, folder: Path) -> None:
    gone = PictureMissing("There is no picture at 'b.png'.")
    with ScriptedBackend({"c": fails}) as backend:
        run = Run(bench, backend.address, folder)
        run.run([item("a"), item("b", gone), item("more/c"), item("d")], jobs=2)
    assert run.states == {"a": "finished", "b": "failed", "more/c": "failed", "d": "finished"}
    assert run.entries["b"].error["code"] == "picture.missing" and run.entries["b"].error["remedy"]
    assert run.entries["more/c"].error["message"] == "The memory was full."
    done = run.entries["a"]
    assert (done.output, done.triangles, done.seconds, done.digest) == ("a.glb", 720, 0.5, "digest of a")
    assert run.output.of("keep") == ["a", "d"] and run.output.of("drop") == ["c"]
    assert [job.submit.name for job in backend.submits] == ["a", "c", "d"]
    said = run.said.getvalue().splitlines()
    assert sorted(line.split(":")[0].partition(" ")[2] for line in said) == ["a", "b", "d", "more/c"]
    assert [line[:5] for line in said] == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    placed = [detail for what, _, detail in bench.scene.calls if what == "place"]
    assert placed == ["final", "final"], "a file that is saved meanwhile has nothing half-made in it"


def test_fail_fast_ends_with_the_error_and_cancels_the_rest(bench: Bench, folder: Path) -> None:
    with ScriptedBackend({"b": fails, "c": stands_still}) as backend:
        run = Run(bench, backend.address, folder)
        with pytest.raises(OutOfMemory):
            run.run([item("a"), item("b"), item("c")], fail_fast=True)
        assert backend.cancels == [run.entries["c"].job]
    assert run.states == {"a": "finished", "b": "failed", "c": "submitted"}
    assert run.output.of("drop") == ["b", "c"]


def test_a_job_of_an_earlier_run_is_asked_for_and_not_made_again(bench: Bench, folder: Path) -> None:
    with ScriptedBackend() as backend:
        first = Run(bench, backend.address, folder / "first")
        first.folder.mkdir()
        first.run([item("a"), item("b")])
        submitted = evolve(first.entries["a"], state="submitted", output="")
        lost = first.entries["b"]
        again = Run(bench, backend.address, folder)
        again.run([item("a"), item("b")], before=[submitted, lost])
        assert len(backend.submits) == 2, "the backend has them"
        assert again.states == {"a": "finished", "b": "finished"}
        assert [again.entries[name].job for name in "ab"] == [first.entries[name].job for name in "ab"]
        changed = evolve(submitted, digest="of another picture")
        again.run([item("a")], before=[changed])
        assert len(backend.submits) == 3 and again.entries["a"].job != changed.job


def test_a_job_that_was_cancelled_with_its_run_is_made_anew(bench: Bench, folder: Path) -> None:
    scripts = iter([stands_still, coarse_then_final])
    with ScriptedBackend({"a": lambda job: next(scripts)(job)}) as backend:
        run = Run(bench, backend.address, folder)
        with pytest.raises(KeyboardInterrupt):
            run.run([item("a")], display=Interrupted(run.said))
        first = run.entries["a"]
        assert first.state == "submitted" and backend.cancels == [first.job]
        run.run([item("a")])
    assert run.states == {"a": "finished"} and run.entries["a"].job != first.job


def test_ctrl_c_before_a_job_is_on_its_way_leaves_nothing(bench: Bench, folder: Path) -> None:
    with ScriptedBackend() as backend:
        run = Run(bench, backend.address, folder)
        submit = bench.monitor.submit

        def pressed(*arguments: Any, **more: Any) -> Job:
            submit(*arguments, **more)
            raise KeyboardInterrupt

        bench.monitor.submit = pressed
        with pytest.raises(KeyboardInterrupt):
            run.run([item("a"), item("b")])
        assert run.output.of("drop") == ["a"] and [job.state.name for job in bench.monitor.jobs.values()] == ["a"]
        (job,) = bench.monitor.jobs.values()
        bench.until(lambda: job.settled)
        assert bench.scene.of(job) == []


def test_a_full_queue_is_waited_for(bench: Bench, folder: Path) -> None:
    def full(job: ScriptedJob) -> Iterator[Step]:
        yield job.failed("job.queue_full", "The queue is full.")

    scripts = iter([full, coarse_then_final])
    ticks = iter(range(10**6))
    with ScriptedBackend({"a": lambda job: next(scripts)(job)}) as backend:
        run = Run(bench, backend.address, folder)
        run.run([item("a")], clock=lambda: float(next(ticks)))
        assert len(backend.submits) == 2
    assert run.states == {"a": "finished"} and "queue" not in run.said.getvalue()


def test_results_are_told_of_as_finished_once_they_are_saved(bench: Bench, folder: Path) -> None:
    with ScriptedBackend({"c": fails}) as backend:
        run = Run(bench, backend.address, folder, NotedOutput(save_seconds=1e9))
        run.run([item("a"), item("b"), item("c")])
    assert run.output.of("save") == [""] and run.output.calls[-1] == ("save", "")
    assert run.states == {"a": "finished", "b": "finished", "c": "failed"}


def test_what_has_come_is_saved_when_the_backend_goes(bench: Bench, folder: Path) -> None:
    run = Run(bench, "", folder)
    with pytest.raises(BackendStartFailed):
        run.run([item("a")], target=LocalTarget("/no/python"))
    assert run.states.get("a") != "failed", "it is no fault of the picture"


def test_a_result_that_cannot_be_written_fails_and_is_made_again_later(bench: Bench, folder: Path) -> None:
    with ScriptedBackend() as backend:
        run = Run(bench, backend.address, folder)
        run.output.problem = OutputUnwritable("'a.glb' cannot be written.")
        run.run([item("a")])
    assert run.entries["a"].error["code"] == "output.unwritable"


def test_jobs_of_the_backend_are_followed_with_a_preview(bench: Bench, folder: Path) -> None:
    def shown(job: ScriptedJob) -> Iterator[Step]:
        yield job.stage("shape", 0, 1)
        yield job.preview(PICTURE.data, 8, 8)
        yield job.mesh("final", sphere(24, 16))
        yield job.finished()

    with ScriptedBackend({"chair": shown}) as backend:
        job = bench.submit(backend.address, "chair")
        bench.until(lambda: job.settled)
        summary = JobSummary(job.id, "chair", "finished", "draft", 1, 0.0, 0.0, 1.0, "", 1.0, 4)
        unknown = evolve(summary, job="00000000-0000-4000-8000-000000000000", name="gone")
        run = Run(bench, backend.address, folder)
        run.run(items_of_jobs([summary, unknown], {}, 3.0))
        assert len(backend.submits) == 1
    assert run.states == {"chair": "finished", "gone": "failed"} and run.entries["gone"].error["code"] == "job.unknown"
    assert run.entries["chair"].job == job.id and run.output.previews == {"chair": PICTURE.data}
    recipe = bench.scene.calls[-1][2]
    assert (recipe["job"], recipe["preset"], recipe["size"], recipe["quality"]) == (job.id, "draft", 3.0, "final")


def test_pictures_are_read_when_their_turn_comes(bench: Bench, folder: Path) -> None:
    with ScriptedBackend() as backend:
        run = Run(bench, backend.address, folder)
        run.run([item("a", PictureUnreadable("It is no picture."))])
        assert backend.submits == []
    assert run.states == {"a": "failed"}
