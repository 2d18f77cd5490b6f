"""Jobs of one worker, in a process of its own: what the worker's account says of each, and when events came.

The worker is the product's own; only its pipe is a list here. Two things differ from a user's job. Random weights draw
noise, which has no outlines: the bundle that was drawn is laid aside and one of a ball goes on in its place, as the
LRM's weights are made to say "ball" too, so that the mesh engine works on an object and begins from the coarse mesh.
And bundles are not drawn again, whatever they look like.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import sys
import time
import uuid
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "backend"), str(ROOT / "protocol")]

import attrs  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from tests.benchmarks.whole.cards import streamed_bytes  # noqa: E402
from tests.benchmarks.whole.counting import Counted, Counting  # noqa: E402

from kiss3d_backend.config import DataDir  # noqa: E402
from kiss3d_backend.devices.budget import CONTEXT  # noqa: E402
from kiss3d_backend.devices.workload import workload_of  # noqa: E402
from kiss3d_backend.jobs.artifacts import Artifacts  # noqa: E402
from kiss3d_backend.jobs.inputs import StoredInputs  # noqa: E402
from kiss3d_backend.logs import JsonLines  # noqa: E402
from kiss3d_backend.pipeline.types import Bundle  # noqa: E402
from kiss3d_backend.recipes import WorkerRecipes  # noqa: E402
from kiss3d_backend.recipes.job_plan import JobPlan  # noqa: E402
from kiss3d_backend.reports.folder import ReportFolder  # noqa: E402
from kiss3d_backend.reports.record import StageRecord  # noqa: E402
from kiss3d_backend.worker.job_files import folder_files  # noqa: E402
from kiss3d_backend.worker.messages import FromWorker, StartJob, WorkerEvent  # noqa: E402
from kiss3d_backend.worker.worker import JobControl, Worker  # noqa: E402
from kiss3d_protocol.messages import Failed, Finished, JobEvent, Preview, StageStarted  # noqa: E402
from kiss3d_protocol.params import GenerateParams  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "demo-picture.png"
BUNDLE = ROOT / "tests" / "engine" / "data" / "bundle_sphere.png"
DRAWING = "bundle"


class Listener:
    """Takes what the worker would tell its broker, with the time; counts by stage when there is a ``counting``."""

    def __init__(self, counting: Counting | None = None) -> None:
        self.previews: list[tuple[str, float]] = []
        self.counted: dict[str, Counted] = {}
        self._counting = counting
        self._stage: str | None = None
        self._before = Counted()

    def event(self, event: JobEvent) -> None:
        if isinstance(event, Preview):
            self.previews.append((event.stage, time.time()))
        elif isinstance(event, StageStarted):
            self.stage_ends()
            self._stage = event.stage

    def stage_ends(self) -> None:
        if self._counting is None:
            return
        total = self._counting.total
        if self._stage is not None:
            self.counted[self._stage] = total - self._before
        self._before = total

    def first(self, since: float, stage: str | None = None) -> float | None:
        """Seconds until the first preview, of a stage or of any."""
        times = [at for told, at in self.previews if stage is None or told == stage]
        return round(min(times) - since, 2) if times else None


def picture(cut_out: bool) -> bytes:
    """The demo's picture; ``cut_out``: with its background transparent, where no network can find it."""
    if not cut_out:
        return PICTURE.read_bytes()
    rgb = np.asarray(Image.open(PICTURE).convert("RGB"))
    corner = rgb[0, 0].astype(np.int16)
    object_there = np.abs(rgb.astype(np.int16) - corner).sum(axis=2) > 40
    file = io.BytesIO()
    Image.fromarray(np.dstack([rgb, object_there.astype(np.uint8) * 255])).save(file, "PNG")
    return file.getvalue()


def with_a_drawn_object(recipe: Any) -> None:
    """Lays the drawn bundle aside for the one of a ball."""
    drawn = recipe.generate.run
    shown = np.asarray(Image.open(BUNDLE).convert("RGB"))

    def run(value: Any, context: Any) -> tuple[Bundle, ...]:
        return tuple(attrs.evolve(bundle, picture=shown) for bundle in drawn(value, context))

    recipe.generate.run = run


def stage_line(stage: StageRecord) -> dict[str, Any]:
    def by_measured(measured: int | None) -> float | None:
        return round(stage.planned_vram / measured, 3) if stage.planned_vram and measured else None

    return {
        "stage": stage.stage,
        "seconds": None if stage.seconds is None else round(stage.seconds, 3),
        "loads": {load.name: round(load.seconds, 3) for load in stage.loads},
        "planned_vram": stage.planned_vram,
        "reserved_vram": stage.peak_vram,
        "allocated_vram": stage.allocated_vram,
        "planned_by_reserved": by_measured(stage.peak_vram),
        "planned_by_allocated": by_measured(stage.allocated_vram),
        "planned_ram": stage.planned_ram,
        "peak_ram": stage.peak_ram,
        "lowered": stage.lowered,
        "used": stage.used,
    }


class Jobs:
    """A worker and its jobs, one after the other. ``cap``: bytes that torch may reserve, None for no cap."""

    def __init__(self, data: Path, preset: str, cap: int | None, *, tiny: bool, count: bool) -> None:
        import torch

        self._data, self._preset, self._tiny = DataDir(data), preset, tiny
        # Kept results are of other runs, which may have had the same seeds.
        shutil.rmtree(self._data.checkpoints, ignore_errors=True)
        self._counting = Counting() if count else None
        self._recipes = WorkerRecipes(data, None if cap is None else cap + CONTEXT)
        planned = self._recipes.plan(preset)
        assert isinstance(planned, JobPlan)
        self._plan = planned
        if cap is not None and torch.cuda.is_available():
            # After the planner has asked for free memory, as in a worker.
            total = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, cap / total))
        with_a_drawn_object(self._recipes[preset])
        cut_out = (data.parent / "models" / "birefnet" / "onnx" / "model_fp16.onnx").stat().st_size < 100
        self._picture = Artifacts(self._data.artifacts).put(picture(cut_out))
        self._listener = Listener()
        self._worker = Worker(self._hear, folder_files(self._data), self._data.root, JsonLines())
        self._worker._recipes = self._recipes

    def _hear(self, message: FromWorker) -> None:
        """As the worker's broker."""
        if isinstance(message, WorkerEvent):
            self._listener.event(message.event)

    def run(self, seed: int, since: float | None = None, control: JobControl | None = None) -> dict[str, Any]:
        """One job. ``since``: when what is waited for began, seconds since 1970; None for now. ``control``: ends it."""
        control = control or JobControl()
        job = str(uuid.uuid4())
        faces, texture_size = (2000, 1024) if self._tiny else (None, None)
        params = GenerateParams(self._preset, seed, redraw=False, faces=faces, texture_size=texture_size)
        start = StartJob(job, params, StoredInputs(picture=self._picture))
        self._listener = listener = Listener(self._counting)
        began = time.time()
        if self._counting is None:
            end = self._worker._run_job(start, control)
        else:
            with self._counting:
                end = self._worker._run_job(start, control)
                listener.stage_ends()
        seconds = time.time() - began
        run = ReportFolder(self._data.reports).read_run(job)
        stages = [stage_line(stage) for stage in run.stages]
        reserved = [stage["reserved_vram"] for stage in stages if stage["reserved_vram"]]
        return {
            "error": _error_of(end),
            "plan": run.stages[-1].plan if run.stages else "",
            "seconds": round(end.report.seconds if isinstance(end, Finished) else seconds, 2),
            "with_the_account": round(seconds, 2),
            "before_the_job": round(began - (since or began), 2),
            "first_preview": listener.first(since or began),
            "first_preview_of_the_drawing": listener.first(since or began, DRAWING),
            "most_reserved": max(reserved, default=None),
            "streamed": streamed_bytes(self._plan.plan, workload_of("image_to_3d", self._preset).evaluations),
            "stages": stages,
            "warnings": [warning.code for warning in run.warnings],
            "counted": {stage: attrs.asdict(each) for stage, each in listener.counted.items()},
        }


def _error_of(end: JobEvent) -> str | None:
    if isinstance(end, Finished):
        return None
    return f"{end.code} {end.message}" if isinstance(end, Failed) else type(end).__name__


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--cap", type=int, help="bytes that torch may reserve")
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--began", type=float, required=True, help="when this process was started")
    parser.add_argument("--out", type=Path, required=True, help="written after each job")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--count", action="store_true")
    options = parser.parse_args()
    jobs = Jobs(options.data, options.preset, options.cap, tiny=options.tiny, count=options.count)
    done: list[dict[str, Any]] = []
    for number in range(options.jobs):
        done.append(jobs.run(options.first_seed + number, options.began if number == 0 else None))
        options.out.write_text(json.dumps(done), encoding="utf-8")
        print(f"  job {number + 1}: {done[-1]['seconds']} s {done[-1]['error'] or ''}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
