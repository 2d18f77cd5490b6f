"""Seconds of whole jobs with the tiny models of the test hub: every recipe, with all the steps of the preset fast.

Run ``python tests/benchmarks/bench_recipes.py [--faces 2000] [--texture-size 1024] [--only NAME ...]``. One backend,
each job on it from the client's submit to its final mesh: by the clock, and of the processor, of backend and worker
together. The first job also starts the worker's libraries; the networks are loaded where they are first used.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fakes.backend_process import collect
from tests.fakes.learned_backend import LearnedBackend
from tests.fakes.recipe_jobs import RecipeJob, recipe_jobs

from kiss3d_backend.commands.job_request import make_submit
from kiss3d_protocol.client import Client
from kiss3d_protocol.key_files import CONFIG_DIR_VARIABLE
from kiss3d_protocol.messages import Finished, MeshReady, Preview


def processor_seconds(backend: LearnedBackend) -> float:
    broker = psutil.Process(backend.process.process.pid)
    times = [process.cpu_times() for process in (broker, *broker.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def measured(backend: LearnedBackend, client: Client, job: RecipeJob) -> dict[str, object]:
    submit, blobs = make_submit(job.files, job.params)
    began, used = time.monotonic(), processor_seconds(backend)
    client.submit(submit, blobs)
    events = collect(client, submit.job, 600)
    end = events[-1]
    assert isinstance(end, Finished), end
    return {
        "seconds": round(time.monotonic() - began, 1),
        "processor_seconds": round(processor_seconds(backend) - used, 1),
        "previews": sum(isinstance(event, Preview) for event in events),
        "meshes": sum(isinstance(event, MeshReady) for event in events),
        "warnings": [note.code for note in end.report.warnings],
        "stages": {stage.stage: round(stage.seconds, 1) for stage in end.report.stages},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=2000)
    parser.add_argument("--texture-size", type=int, default=1024)
    parser.add_argument("--only", nargs="+")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        # Not the keys of the person who runs this.
        os.environ[CONFIG_DIR_VARIABLE] = str(Path(folder) / "config")
        jobs = recipe_jobs(Path(folder), chosen.faces, chosen.texture_size)
        with (
            LearnedBackend(Path(folder) / "machine", recipes=None, threads=None) as backend,
            Client(backend.address, "b/1") as client,
        ):
            client.connected(30)
            for name in chosen.only or jobs:
                print(json.dumps({name: measured(backend, client, jobs[name])}), flush=True)


if __name__ == "__main__":
    main()
