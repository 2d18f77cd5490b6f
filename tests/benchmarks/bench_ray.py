"""What a second worker is worth: draft jobs over a Ray cluster on this machine, with one node and with two.

``python tests/benchmarks/bench_ray.py`` prints one JSON object. ``seconds``: from the first submit to the last end,
with all workers ready before. ``ratio``: the throughput with two workers by that with one. ``lost``: a further run of
``--jobs`` jobs with two nodes, of which one is killed in the middle: how many finish, and after how many seconds.

The jobs are ``--recipes``' draft: by default fake ones of half a second that mostly wait, as a job on a graphics card
does for the processor. With ``--recipes kiss3d_backend.recipes:RECIPES`` they are real drafts, which share this
machine's cores, whatever their number of nodes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import attrs
from PIL import Image, ImageDraw
from tests.fakes.backend_process import BackendProcess
from tests.fakes.ray_cluster import loopback_cluster

from kiss3d_protocol.client import Client
from kiss3d_protocol.messages import TERMINAL_EVENTS, Event, Finished, Status, Submit, WarningRaised, new_job_id
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import BlobWriter
from kiss3d_protocol.session import Received

PATIENCE = 600.0


@attrs.define
class Run:
    """What became of some jobs."""

    seconds: float = 0.0
    finished: int = 0
    interrupted: int = 0


def picture(number: int) -> bytes:
    """A disc of its own for each job."""
    image = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((30, 30, 200 + number, 220), fill=(200, 60, 40, 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def wait_for_workers(client: Client, count: int) -> None:
    """Until so many are idle."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        client.get_status()
        news = client.wait(1.0)
        if isinstance(news, Received) and isinstance(news.message, Status):
            if sum(worker.condition == "idle" for worker in news.message.workers) == count:
                return
            time.sleep(0.2)
    raise SystemExit(f"there were no {count} workers within {PATIENCE:g} s")


def run_jobs(client: Client, first: int, count: int, in_the_middle: Callable[[], None] | None = None) -> Run:
    """Submits them all, and waits for all ends. ``in_the_middle`` is done when a third of them has ended."""
    run, open_jobs = Run(), set[str]()
    started = time.perf_counter()
    for number in range(first, first + count):
        writer = BlobWriter()
        submit = Submit(
            new_job_id(), "disc", GenerateParams(seed=8 * number), writer.image(picture(number % 50), "image/png")
        )
        open_jobs.add(submit.job)
        client.submit(submit, writer.blobs)
    while open_jobs:
        news = client.wait(PATIENCE)
        if news is None:
            raise SystemExit(f"nothing came for {PATIENCE:g} s")
        message = news.message if isinstance(news, Received) else None
        if isinstance(message, WarningRaised):
            run.interrupted += message.code == "job.worker_died"
        elif isinstance(message, TERMINAL_EVENTS) and isinstance(message, Event):
            open_jobs.discard(message.job)
            run.finished += isinstance(message, Finished)
            if in_the_middle is not None and len(open_jobs) <= 2 * count // 3:
                in_the_middle()
                in_the_middle = None
    run.seconds = round(time.perf_counter() - started, 2)
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--recipes", default="tests.fakes.soak_recipes:RECIPES")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, loopback_cluster() as cluster:
        os.environ["KISS3D_CONFIG_DIR"] = folder
        arguments = ["--executor", "ray", "--ray-address", cluster.address]
        with (
            BackendProcess(Path(folder, "data"), recipes=options.recipes, arguments=arguments) as backend,
            Client(backend.address, "bench/1") as client,
        ):
            client.connected(60)
            wait_for_workers(client, 1)
            run_jobs(client, 0, 1)
            one = run_jobs(client, 1000, options.jobs)
            second = cluster.add_node()
            wait_for_workers(client, 2)
            run_jobs(client, 2000, 2)
            two = run_jobs(client, 3000, options.jobs)
            lost = run_jobs(client, 4000, options.jobs, lambda: cluster.kill_node(second))
            client.close()
    told = {
        "jobs": options.jobs,
        "recipes": options.recipes,
        "one": attrs.asdict(one),
        "two": attrs.asdict(two),
        "ratio": round(one.seconds / two.seconds, 2),
        "lost": attrs.asdict(lost),
    }
    print(json.dumps(told, indent=2))
    if {one.finished, two.finished, lost.finished} != {options.jobs}:
        raise SystemExit("not all jobs have finished")


if __name__ == "__main__":
    main()
