"""The worker process: runs one job at a time and tells its broker through stdout.

Started by the supervisor as ``python -m kiss3d_backend.worker.main --data-dir DIR --recipes MODULE:NAME``. A thread
reads stdin, so that a cancel never waits behind a job; the end of stdin ends the process at once.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from kiss3d_backend import __version__
from kiss3d_backend.config import DataDir
from kiss3d_backend.disk import disk_error, is_disk_full
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.logs import JsonLines, log_to_broker
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.reports.folder import ReportFolder
from kiss3d_backend.worker.messages import (
    CancelJob,
    ChooseBundles,
    FromWorker,
    StartJob,
    WorkerAlive,
    WorkerEvent,
    WorkerReady,
    to_fields,
    to_worker,
)
from kiss3d_backend.worker.pipe import read_message, write_message
from kiss3d_protocol.errors import JobCancelled, Kiss3DError, OutOfMemory, RecipeUnavailable, StageFailed
from kiss3d_protocol.messages import (
    Cancelled,
    Failed,
    Finished,
    JobEvent,
    JobReport,
    StageTime,
    WarningNote,
)
from kiss3d_protocol.version import PROTOCOL_VERSION

if TYPE_CHECKING:
    from kiss3d_backend.pipeline.recipe import Recipe
    from kiss3d_backend.pipeline.report import RunReport

_log = logging.getLogger("kiss3d.worker")

HEARTBEAT_SECONDS = 1.0


class BrokerPipe:
    """The way back to the broker; several threads write."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def say(self, message: FromWorker) -> None:
        """Sends one message; a broker that is gone ends this process through its stdin."""
        with self._lock:
            write_message(self._pipe, to_fields(message))

    def event(self, event: JobEvent, artifacts: tuple[str, ...] = ()) -> None:
        """Sends an event of the running job."""
        self.say(WorkerEvent(event, artifacts))


class JobControl:
    """What may come from outside while a job runs: its end, or a choice among its bundles."""

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self.choices: queue.SimpleQueue[tuple[int, ...]] = queue.SimpleQueue()


class Worker:
    """Takes jobs from the reader's queue and runs them with the recipe of their preset."""

    def __init__(self, pipe: BrokerPipe, data_dir: DataDir, log: JsonLines) -> None:
        self._pipe = pipe
        self._log = log
        self._artifacts = Artifacts(data_dir.artifacts)
        self._checkpoints = data_dir.checkpoints
        self._recipes: Mapping[str, Recipe] = {}
        self._jobs: queue.SimpleQueue[StartJob] = queue.SimpleQueue()
        self._controls: dict[str, JobControl] = {}
        self._reports = ReportFolder(data_dir.reports)
        self._store = lambda: ModelStore(data_dir.root)
        self._jobs_done = 0

    def read(self, stdin: BinaryIO) -> None:
        """Reads orders until the broker is gone, then ends the process. Runs on a thread of its own."""
        while (fields := read_message(stdin)) is not None:
            order = to_worker(fields)
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
        # Nothing is left to be told to anybody; a stage in a library call would not notice.
        os._exit(0)

    def run(self, recipes: Mapping[str, Recipe]) -> None:
        """Runs jobs for ever."""
        self._recipes = recipes
        while True:
            start = self._jobs.get()
            self._log.job = start.job
            self._pipe.event(self._run_job(start, self._controls[start.job]))
            del self._controls[start.job]
            self._jobs_done += 1
            self._log.job = None

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
        from kiss3d_backend.pipeline.checkpoints import FolderCheckpoints
        from kiss3d_backend.pipeline.memory import PlannedRecipes
        from kiss3d_backend.pipeline.recipe import recipe_key
        from kiss3d_backend.pipeline.runner import run_recipe
        from kiss3d_backend.worker.account import AccountSink
        from kiss3d_backend.worker.inputs import read_inputs
        from kiss3d_backend.worker.memory_meter import ProcessMeter
        from kiss3d_backend.worker.sink import PipeSink

        account = AccountSink(
            start.job,
            PipeSink(start.job, self._pipe.event, self._artifacts),
            self._reports,
            self._store,
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
            inputs = read_inputs(start.params, start.inputs, self._artifacts)
            account.begin(recipe)
            checkpoints = FolderCheckpoints(self._checkpoints)
            plan = self._recipes.plan(key) if isinstance(self._recipes, PlannedRecipes) else None
            return run_recipe(
                recipe,
                inputs,
                account,
                control.cancel,
                checkpoints,
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


def versions() -> dict[str, str]:
    """Of everything that shapes a result."""
    found = {"kiss3d": __version__, "protocol": PROTOCOL_VERSION, "python": sys.version.split()[0]}
    for name, module in (("numpy", "numpy"), ("opencv", "cv2"), ("scikit-image", "skimage"), ("torch", "torch")):
        if module in sys.modules:
            found[name] = str(sys.modules[module].__version__)
    return found


def _take_stdout() -> BinaryIO:
    """Keeps the pipe for messages alone: what libraries print goes to stderr, which is the log."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=io.DEFAULT_BUFFER_SIZE)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    return pipe


def _beat(pipe: BrokerPipe) -> None:
    while True:
        time.sleep(HEARTBEAT_SECONDS)
        pipe.say(WorkerAlive())


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


def main() -> None:
    """The process's entry point."""
    # Ctrl-C in the broker's terminal, and a stop of the whole group, reach this process too; its life is the broker's
    # business, and ends with its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parser = argparse.ArgumentParser(prog="kiss3d-worker")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--recipes", required=True)
    parser.add_argument("--vram-budget", type=int, help="bytes")
    options = parser.parse_args()
    log = log_to_broker(sys.stderr)
    pipe = BrokerPipe(_take_stdout())
    data_dir = DataDir(options.data_dir)
    worker = Worker(pipe, data_dir, log)
    # Before all that takes seconds: a broker that dies meanwhile leaves nothing behind.
    threading.Thread(target=worker.read, args=(sys.stdin.buffer,), name="orders", daemon=True).start()
    recipes = load_recipes(options.recipes, data_dir.root, options.vram_budget)
    threading.Thread(target=_beat, args=(pipe,), name="heartbeat", daemon=True).start()
    # The pipeline's own modules are imported before the worker calls itself ready: the first job must not wait.
    importlib.import_module("kiss3d_backend.pipeline.runner")
    importlib.import_module("kiss3d_backend.worker.account")
    importlib.import_module("kiss3d_backend.worker.inputs")
    importlib.import_module("kiss3d_backend.worker.memory_meter")
    importlib.import_module("kiss3d_backend.worker.sink")
    pipe.say(WorkerReady(os.getpid(), versions()))
    worker.run(recipes)


if __name__ == "__main__":
    main()
