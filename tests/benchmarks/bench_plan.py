"""image_to_3d by its plan: seconds cold and warm, planned and measured memory of every stage. Prints JSON.

Run ``python tests/benchmarks/bench_plan.py --budget 12GB --data DIR [--preset fast] [--jobs 2]`` with a data directory
that has the models; with CUDA torch may then allocate no more than the budget. Without ``--data`` the networks are the
tests' tiny ones: a dry run, whose memory says nothing of the planner. Random weights of the published sizes are what
bench_whole.py makes. Bundles are not drawn again, whatever they look like.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fakes.tiny.machine import machine_with  # noqa: E402
from tests.stages.context import Record  # noqa: E402

from kiss3d_backend.devices.budget import CONTEXT, read_budget  # noqa: E402
from kiss3d_backend.pipeline.recipe import JobInputs  # noqa: E402
from kiss3d_backend.pipeline.report import StageReport  # noqa: E402
from kiss3d_backend.pipeline.runner import run_recipe  # noqa: E402
from kiss3d_backend.worker.memory_meter import ProcessMeter  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "demo-picture.png"


class FirstPreview(Record):
    """Notes when the first picture of the drawing was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.began = time.monotonic()
        self.seconds: float | None = None

    def preview(self, stage: str, image: Any, text: str = "") -> None:
        if self.seconds is None:
            self.seconds = time.monotonic() - self.began


def told(stage: StageReport) -> dict[str, Any]:
    ratio = None
    if stage.planned_vram and stage.peak_vram:
        ratio = round(stage.planned_vram / stage.peak_vram, 3)
    return {
        "stage": stage.name,
        "seconds": round(stage.seconds, 2),
        "loads": {load.name: round(load.seconds, 2) for load in stage.loads},
        "planned_vram": stage.planned_vram,
        "peak_vram": stage.peak_vram,
        "allocated_vram": stage.allocated_vram,
        "planned_by_measured": ratio,
        "planned_ram": stage.planned_ram,
        "peak_ram": stage.peak_ram,
        "lowered": stage.lowered,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", default=None, help="as 12GB; without it what the machine has")
    parser.add_argument("--preset", default="fast", choices=("fast", "balanced", "quality"))
    parser.add_argument("--jobs", type=int, default=2, help="the first is cold")
    parser.add_argument("--data", type=Path, help="a data directory with models, instead of tiny ones")
    parser.add_argument("--tiny", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    budget = None if options.budget is None else read_budget(options.budget)
    if options.data is not None:
        print(json.dumps(measure(options.data, options.preset, budget, options.jobs, options.tiny), indent=1))
        return
    with tempfile.TemporaryDirectory() as folder:
        machine = machine_with([options.preset], Path(folder))
        # The place of the models is read when their libraries are imported: a process of its own has the right one.
        kept = {name: value for name, value in machine.environment.items() if name != "PYTHONWARNINGS"}
        again = [sys.executable, __file__, *sys.argv[1:], "--data", str(machine.data), "--tiny"]
        subprocess.run(again, env=kept, check=True)


def measure(data: Path, preset: str, budget: int | None, jobs: int, tiny: bool) -> dict[str, Any]:
    import torch

    from kiss3d_backend.recipes import WorkerRecipes

    recipes = WorkerRecipes(data, budget)
    recipe = recipes[preset]
    if torch.cuda.is_available() and budget is not None:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, (budget - CONTEXT) / total))
    runs: list[dict[str, Any]] = []
    for number in range(jobs):
        plan = recipes.plan(preset)
        assert plan is not None
        sink = FirstPreview()
        inputs = JobInputs(PICTURE.read_bytes(), seed=number, faces=2000 if tiny else None, redraw=False)
        report = run_recipe(recipe, inputs, sink, threading.Event(), meter=ProcessMeter(), plan=plan)
        runs.append(
            {
                "job": "cold" if number == 0 else "warm",
                "plan": plan.name,
                "seconds": round(report.seconds, 2),
                "first_preview_seconds": None if sink.seconds is None else round(sink.seconds, 2),
                "stages": [told(stage) for stage in report.stages],
                "warnings": [warning.code for warning in report.warnings],
            }
        )
    return {
        "device": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu",
        "torch": torch.__version__,
        "preset": preset,
        "budget": budget,
        "networks": "tiny: the memory says nothing of the planner" if tiny else "of the data directory",
        "runs": runs,
    }


if __name__ == "__main__":
    main()
