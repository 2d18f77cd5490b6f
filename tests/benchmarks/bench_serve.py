"""How soon a backend is ready, and how soon the first progress of a job reaches its client.

``python tests/benchmarks/bench_serve.py`` prints one JSON object. Times in seconds, over ``--runs`` runs.

``ready``: from the start of the process to its ready line (target: below 1).
``first_event`` and ``first_progress``: from Submit
on a warm server to the first event and to the first progress event at the client (target: below 0.1).
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image, ImageDraw
from tests.fakes.backend_process import BackendProcess

from kiss3d_protocol.client import Client
from kiss3d_protocol.messages import TERMINAL_EVENTS, Event, Progress, Submit, new_job_id
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import BlobWriter
from kiss3d_protocol.session import Received


def picture() -> bytes:
    """A disc of 1024 x 1024 pixels on white."""
    image = Image.new("RGB", (1024, 1024), "white")
    ImageDraw.Draw(image).ellipse((200, 200, 824, 824), fill=(200, 60, 40))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def submit_and_time(client: Client, data: bytes, seed: int) -> tuple[float, float]:
    """Seconds to the first event and to the first progress; returns when the job has ended."""
    writer = BlobWriter()
    submit = Submit(new_job_id(), "disc.png", GenerateParams(seed=seed), writer.image(data, "image/png"))
    first_event = first_progress = 0.0
    started = time.perf_counter()
    client.submit(submit, writer.blobs)
    while True:
        news = client.wait(60)
        passed = time.perf_counter() - started
        if not isinstance(news, Received) or not isinstance(news.message, Event):
            raise SystemExit(f"unexpected: {news}")
        first_event = first_event or passed
        if isinstance(news.message, Progress):
            first_progress = first_progress or passed
        if isinstance(news.message, TERMINAL_EVENTS):
            return first_event, first_progress


def summary(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 4), "worst": round(max(values), 4)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    data = picture()
    ready: list[float] = []
    events: list[float] = []
    progress: list[float] = []
    for run in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            with BackendProcess(Path(folder)) as backend:
                ready.append(time.perf_counter() - started)
                with Client(backend.address, "bench/1") as client:
                    client.connected(10)
                    submit_and_time(client, data, 0)  # the first job warms the server up
                    first_event, first_progress = submit_and_time(client, data, run)
                    events.append(first_event)
                    progress.append(first_progress)
    print(
        json.dumps(
            {"runs": runs, "ready": summary(ready), "first_event": summary(events), "first_progress": summary(progress)}
        )
    )


if __name__ == "__main__":
    main()
