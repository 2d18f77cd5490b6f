"""What runs jobs: the same wherever it lives, in a process beside the broker or in an actor on another machine."""

from __future__ import annotations

import importlib
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import psutil

from kiss3d_backend.devices.probe import probe_device
from kiss3d_backend.disk import disk_error, is_disk_full
from kiss3d_backend.logs import JsonLines
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.networks.loading import noting_uses
from kiss3d_backend.pipeline.memory import PlannedRecipes, WarmRecipes
from kiss3d_backend.worker.job_files import JobFiles
from kiss3d_backend.worker.messages import (
    CancelJob,
    ChooseBundles,
    FromWorker,
    StartJob,
    ToWorker,
    WorkerAlive,
    WorkerEvent,
    WorkerNetworks,
    WorkerReady,
)
from kiss3d_backend.worker.versions import versions
from kiss3d_protocol.errors import JobCancelled, Kiss3DError, OutOfMemory, RecipeUnavailable, StageFailed
from kiss3d_protocol.messages import Cancelled, Failed, Finished, JobEvent, JobReport, StageTime, WarningNote

if TYPE_CHECKING:
    from kiss3d_backend.pipeline.recipe import Recipe
    from kiss3d_backend.pipeline.report import RunReport

_log = logging.getLogger("kiss3d.worker")

HEARTBEAT_SECONDS = 1.0


class JobControl:
    """What may come from outside while a job runs: its end, or a choice among its bundles."""

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self.choices: queue.SimpleQueue[tuple[int, ...]] = queue.SimpleQueue()


class Worker:
    """Runs one job at a time with the recipe of its preset, and says what happens.

    ``say`` is called on several threads. ``files``: where jobs read and write. ``home``: the data directory of this
    machine, where the model store is. ``log``: told which job runs.
    """

    def __init__(self, say: Callable[[FromWorker], None], files: JobFiles, home: Path, log: JsonLines) -> None:
        self._say = say
        self._files = files
        self._home = home
        self._log = log
        self._recipes: Mapping[str, Recipe] = {}
        self._jobs: queue.SimpleQueue[StartJob] = queue.SimpleQueue()
        self._controls: dict[str, JobControl] = {}
        self._jobs_done = 0

    def take(self, order: ToWorker) -> None:
        """Takes an order, on any thread; a cancel never waits behind a job."""
        match order:
            case StartJob():
                self._controls[order.job] = JobControl()
                self._jobs.put(order)
            case CancelJob():
                if order.job in self._controls:
                    self._controls[order.job].cancel.set()
            case ChooseBundles():
                if order.job in self._controls:
                    self._controls[order.job].choices.put(order.indices)

    def live(self, recipes: str, vram_budget: int | None = None) -> NoReturn:
        """Loads the recipes (:func:`load_recipes`), says that it is ready, and runs jobs for ever."""
        self._recipes = load_recipes(recipes, self._home, vram_budget)
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        # The pipeline's own modules are imported before the worker calls itself ready: the first job must not wait.
        importlib.import_module("kiss3d_backend.pipeline.runner")
        importlib.import_module("kiss3d_backend.worker.account")
        importlib.import_module("kiss3d_backend.worker.inputs")
        importlib.import_module("kiss3d_backend.worker.memory_meter")
        importlib.import_module("kiss3d_backend.worker.sink")
        self._say(WorkerReady(os.getpid(), versions()))
        while True:
            start = self._jobs.get()
            self._log.job = start.job
            with noting_uses() as used:
                end = self._run_job(start, self._controls[start.job])
            del self._controls[start.job]
            self._jobs_done += 1
            if isinstance(self._recipes, WarmRecipes):
                self._say(WorkerNetworks(tuple(sorted(used)), self._recipes.loaded()))
            self._say(WorkerEvent(end))
            self._log.job = None

    def _beat(self) -> None:
        process = psutil.Process()
        while True:
            self._say(WorkerAlive(probe_device(), int(process.memory_info().rss)))
            time.sleep(HEARTBEAT_SECONDS)

    def _run_job(self, start: StartJob, control: JobControl) -> JobEvent:
        params = start.params
        _log.info("job %s: starts, %s, preset %s, seed %d", start.job, params.recipe, params.preset, params.seed)
        try:
            report = self._carry_out(start, control)
        except JobCancelled:
            _log.info("job %s: cancelled", start.job)
            return Cancelled(job=start.job)
        except Kiss3DError as error:
            _log.warning("job %s: failed: %s %s", start.job, error.code, error.message)
            return Failed(job=start.job, code=error.code, message=error.message, remedy=error.remedy)
        _log.info("job %s: finished in %.2f s", start.job, report.seconds)
        return Finished(job=start.job, report=_job_report(start, report))

    def _carry_out(self, start: StartJob, control: JobControl) -> RunReport:
        from kiss3d_backend.pipeline.recipe import recipe_key
        from kiss3d_backend.pipeline.runner import run_recipe
        from kiss3d_backend.worker.account import AccountSink
        from kiss3d_backend.worker.inputs import read_inputs
        from kiss3d_backend.worker.memory_meter import ProcessMeter
        from kiss3d_backend.worker.sink import WorkerSink

        account = AccountSink(
            start.job,
            WorkerSink(start.job, lambda event, blobs: self._say(WorkerEvent(event, blobs)), self._files.artifacts),
            self._files.reports,
            lambda: ModelStore(self._home),
            versions,
            self._jobs_done,
        )
        try:
            key = recipe_key(start.params.recipe, start.params.preset)
            recipe = self._recipes.get(key)
            if recipe is None:
                raise RecipeUnavailable(
                    f"This worker has no recipe '{start.params.recipe}' for the preset '{start.params.preset}'."
                )
            inputs = read_inputs(start.params, start.inputs, self._files.artifacts)
            account.begin(recipe)
            plan = self._recipes.plan(key) if isinstance(self._recipes, PlannedRecipes) else None
            return run_recipe(
                recipe,
                inputs,
                account,
                control.cancel,
                self._files.checkpoints,
                choices=control.choices,
                meter=ProcessMeter(),
                plan=plan,
                stage_ended=account.stage_ended,
            )
        except Kiss3DError:
            raise
        except MemoryError as error:
            raise OutOfMemory("The machine ran out of memory.") from error
        except Exception as error:
            # Outside a stage.
            _log.exception("job %s", start.job)
            if is_disk_full(error):
                raise disk_error(error) from error
            raise StageFailed(f"The job failed: {type(error).__name__}: {error}") from error
        finally:
            account.end(hurry=control.cancel.is_set())


def _job_report(start: StartJob, report: RunReport) -> JobReport:
    return JobReport(
        recipe=report.recipe,
        preset=start.params.preset,
        seed=start.params.seed,
        picture_sha256=start.inputs.fingerprint,
        seconds=report.seconds,
        stages=tuple(StageTime(stage.name, stage.title, stage.seconds) for stage in report.stages),
        warnings=tuple(WarningNote(note.code, note.message, note.remedy) for note in report.warnings),
        versions=versions(),
    )


def load_recipes(spec: str, data_dir: Path, vram_budget: int | None = None) -> Mapping[str, Recipe]:
    """``MODULE:NAME`` of a mapping from recipe key to recipe, or of what makes one for a data directory and a budget in
    bytes; calls the module's ``warm_up()`` if it has one.
    """
    module_name, _, name = spec.partition(":")
    module = importlib.import_module(module_name)
    if hasattr(module, "warm_up"):
        module.warm_up()
    recipes = getattr(module, name)
    return cast("Mapping[str, Recipe]", recipes(data_dir, vram_budget) if callable(recipes) else recipes)
