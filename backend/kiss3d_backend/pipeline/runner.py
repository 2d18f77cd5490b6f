"""Runs a recipe: events, times, cancel, and every failure as an error that a person can read."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from kiss3d_backend.disk import disk_error, is_disk_full
from kiss3d_backend.networks.loading import noting_loads
from kiss3d_backend.pipeline.checkpoints import Checkpoints, NoCheckpoints, checkpoint_key
from kiss3d_backend.pipeline.clock import JobClock
from kiss3d_backend.pipeline.events import EventSink, JobWarning, MeshQuality
from kiss3d_backend.pipeline.memory import MemoryMeter, MemoryUse, NoMeter, NoPlan, RunningPlan, is_out_of_memory
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe
from kiss3d_backend.pipeline.report import Check, RunReport, StageReport
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Bundle, Mesh
from kiss3d_protocol.errors import JobCancelled, Kiss3DError, OutOfMemory, StageFailed

_log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")

Choices = queue.SimpleQueue[tuple[int, ...]]
CHOICE_POLL_SECONDS = 0.1


@attrs.define
class _PartsRun:
    """How a stage runs. ``lowered``: how often the plan was. ``planned``: by the last one. ``contexts``: of each part,
    the last try's."""

    from_checkpoint: bool = True
    completed: bool = False
    lowered: int = 0
    planned: MemoryUse = attrs.field(factory=MemoryUse)
    contexts: dict[int, StageContext] = attrs.field(factory=dict[int, StageContext])


class _RecipeRun:
    """One run of one recipe; see :class:`kiss3d_backend.pipeline.recipe.Run`."""

    def __init__(
        self,
        recipe: Recipe,
        inputs: JobInputs,
        sink: EventSink,
        cancel: threading.Event,
        checkpoints: Checkpoints,
        choices: Choices | None,
        meter: MemoryMeter,
        plan: RunningPlan,
        stage_ended: Callable[[StageReport], None] | None,
    ) -> None:
        self.stage_reports: list[StageReport] = []
        self.warnings: list[JobWarning] = []
        self._recipe = recipe
        self._seed = inputs.seed
        self._choose = inputs.choose
        self._choices = choices
        self._sink = sink
        self._cancel = cancel
        self._checkpoints = checkpoints
        self._meter = meter
        self._plan = plan
        self._stage_ended = stage_ended
        self._next = 0
        self._clock = JobClock([stage.weight for stage in recipe.stages])

    def stage(self, stage: Stage[In, Out], value: In) -> Out:
        return self.each(stage, {0: value})[0]

    def each(self, stage: Stage[In, Out], values: Mapping[int, In]) -> dict[int, Out]:
        index = self._position(stage)
        self._check_cancelled()
        self._sink.stage_started(stage.name, stage.title, index, len(self._recipe.stages))
        started = time.monotonic()
        ran = _PartsRun()
        self._meter.start()
        with noting_loads() as loads:
            try:
                results = self._run_parts(stage, index, values, ran)
            finally:
                used = self._meter.stop()
                report = StageReport(
                    stage.name,
                    stage.title,
                    time.monotonic() - started,
                    ran.from_checkpoint and ran.completed,
                    plan=self._plan.name,
                    planned_vram=ran.planned.vram,
                    planned_ram=ran.planned.ram,
                    peak_vram=used.vram,
                    peak_ram=used.ram,
                    allocated_vram=used.vram_allocated,
                    lowered=ran.lowered,
                    completed=ran.completed,
                    loads=tuple(loads),
                    checks=tuple(check for context in ran.contexts.values() for check in context.checks),
                    used={
                        **self._plan.used(stage.name),
                        **{name: value for context in ran.contexts.values() for name, value in context.used.items()},
                    },
                )
                self.stage_reports.append(report)
                if self._stage_ended is not None:
                    self._stage_ended(report)
        return results

    def _run_parts(self, stage: Stage[In, Out], index: int, values: Mapping[int, In], ran: _PartsRun) -> dict[int, Out]:
        ran.planned = self._plan.begin(stage.name)
        results: dict[int, Out] = {}
        for part, (bundle, value) in enumerate(values.items()):
            about = {"index": index, "bundle": bundle, "part": part, "parts": len(values)}
            # Each try has a context of its own: what it draws from the generator is the same again.
            ran.contexts[part] = self._context(stage, **about)
            while (done := self._result(stage, value, ran.contexts[part])) is None:
                ran.contexts[part] = self._context(stage, **about)
                ran.lowered += 1
                self._lower_plan(stage)
                ran.planned = self._plan.begin(stage.name)
            results[bundle], from_checkpoint = done
            ran.from_checkpoint &= from_checkpoint
        ran.completed = True
        return results

    def _context(self, stage: Stage[Any, Any], *, index: int, bundle: int, part: int, parts: int) -> StageContext:
        return StageContext(
            stage=stage.name,
            index=index,
            seed=self._seed,
            sink=self._sink,
            cancel=self._cancel,
            clock=self._clock,
            bundle=bundle,
            part=part,
            parts=parts,
        )

    def _lower_plan(self, stage: Stage[Any, Any]) -> None:
        before = self._plan.name
        self._plan.lower()
        note = JobWarning(
            "memory.plan_lowered",
            f'Memory ran out during "{stage.title}" with the plan "{before}". The step was done again with the plan '
            f'"{self._plan.name}", which needs less memory.',
            "Close other programs that use the graphics card, or plan for less at once with --vram-budget.",
        )
        _log.warning("stage %s: %s", stage.name, note.message)
        self.warnings.append(note)
        self._sink.warning(note.code, note.message, note.remedy)

    def _position(self, stage: Stage[Any, Any]) -> int:
        ahead = [i for i, each in enumerate(self._recipe.stages) if each is stage and i >= self._next]
        if not ahead:
            raise AssertionError(f"recipe {self._recipe.name!r} runs {stage.name!r} out of its declared order")
        self._next = ahead[0] + 1
        return ahead[0]

    def _result(self, stage: Stage[In, Out], value: In, context: StageContext) -> tuple[Out, bool] | None:
        """The result and whether it was kept from before; None when memory ran out and a lower plan is there."""
        context.progress(0, 1)
        key = checkpoint_key(stage.name, stage.fingerprint(), self._seed, value) if stage.kept else ""
        kept = self._checkpoints.load(key) if stage.kept else None
        if kept is not None:
            result, warned, checked = kept[0]
            for code, message, remedy in warned:
                context.warn(code, message, remedy)
            context.checks += [Check(*each) for each in checked]
        else:
            try:
                result = _run_stage(stage, value, context)
            except OutOfMemory:
                if self._plan.lowest:
                    raise
                # The error's frames hold what the stage had made; they are gone when this returns.
                return None
            if stage.kept:
                warned = tuple((warning.code, warning.message, warning.remedy) for warning in context.warnings)
                checked = tuple(attrs.astuple(check) for check in context.checks)
                self._checkpoints.save(key, (result, warned, checked))
        context.progress(1, 1)
        self.warnings += context.warnings
        return result, kept is not None

    def mesh_ready(self, mesh: Mesh, quality: MeshQuality, bundle: int = 0) -> None:
        self._check_cancelled()
        self._sink.mesh_ready(mesh, quality, bundle)

    def choose(self, bundles: Sequence[Bundle]) -> tuple[int, ...]:
        if not self.stage_reports:
            raise AssertionError(f"recipe {self._recipe.name!r} chooses before any stage has run")
        self._check_cancelled()
        self._sink.bundles_ready(self.stage_reports[-1].name, bundles, self._choose)
        if not self._choose:
            return tuple(range(len(bundles)))
        if self._choices is None:
            raise AssertionError("a job that is to choose was run where nobody can")
        began = time.monotonic()
        while True:
            self._check_cancelled()
            with contextlib.suppress(queue.Empty):
                chosen = sorted(set(self._choices.get(timeout=CHOICE_POLL_SECONDS)))
                if chosen and chosen[0] >= 0 and chosen[-1] < len(bundles):
                    break
                _log.warning("a choice of %s among %d bundles is ignored", chosen, len(bundles))
        self._clock.leave_out(time.monotonic() - began)
        return tuple(chosen)

    def _check_cancelled(self) -> None:
        if self._cancel.is_set():
            raise JobCancelled("The job was cancelled.")


def _run_stage(stage: Stage[In, Out], value: In, context: StageContext) -> Out:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = stage.run(value, context)
    except Kiss3DError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            _log.warning("stage %s: %s: %s", stage.name, type(error).__name__, str(error))
            raise OutOfMemory(f'The machine ran out of memory during "{stage.title}".') from error
        _log.exception("stage %s failed", stage.name)
        if is_disk_full(error):
            raise disk_error(error) from error
        raise StageFailed(f'The step "{stage.title}" failed: {type(error).__name__}: {error}') from error
    for warning in caught:
        _log.warning("stage %s: %s: %s", stage.name, warning.category.__name__, warning.message)
    return result


def run_recipe(
    recipe: Recipe,
    inputs: JobInputs,
    sink: EventSink,
    cancel: threading.Event,
    checkpoints: Checkpoints | None = None,
    *,
    choices: Choices | None = None,
    meter: MemoryMeter | None = None,
    plan: RunningPlan | None = None,
    stage_ended: Callable[[StageReport], None] | None = None,
) -> RunReport:
    """Runs ``recipe`` on ``inputs``; its events go to ``sink``, the last one being the final mesh.

    ``choices``: where the indices of chosen bundles come from, for a job that is to choose. ``stage_ended``: told of
    every stage that has run, also of the one in which the run ends early.
    Results of stages that are kept come from ``checkpoints`` when they were made before, and go there when not.
    ``meter``: measures the memory of each stage. ``plan``: when memory runs out in a stage, the next lower plan is
    taken and that stage runs again; what was made before it stays.

    Raises a :class:`Kiss3DError` of a stage as it is, :class:`JobCancelled` soon after ``cancel`` is set,
    :class:`OutOfMemory` when memory ran out with the lowest plan, and :class:`StageFailed`, which names the stage, for
    anything else that goes wrong within one.
    """
    started = time.monotonic()
    run = _RecipeRun(
        recipe,
        inputs,
        sink,
        cancel,
        checkpoints or NoCheckpoints(),
        choices,
        meter or NoMeter(),
        plan or NoPlan(),
        stage_ended,
    )
    made = recipe.wire(inputs, run)
    for bundle, mesh in ({0: made} if isinstance(made, Mesh) else made).items():
        run.mesh_ready(mesh, "final", bundle)
    return RunReport(
        recipe=recipe.name,
        stages=tuple(run.stage_reports),
        warnings=tuple(run.warnings),
        seconds=time.monotonic() - started,
    )
