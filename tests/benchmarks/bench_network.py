"""A big result over a slow line that fails again and again, and somebody else's cancel meanwhile.

``python tests/benchmarks/bench_network.py`` prints one JSON object. A client downloads ``--megabytes`` at ``--mbit``
Mbit/s with ``--delay`` seconds each way over a proxy that, ``--cuts`` times, cuts its connections, lets them go half
deaf or sends every byte of the next one twice. A second client on a line of its own begins jobs and cancels them all
the time.

``extra``: bytes that the backend sent and that did not arrive whole, in parts of the result (target: below 0.1).
``cancel``: seconds from a cancel to its event, the longest (target: below 1). ``seconds``: of the download;
``line_seconds``: what the line needs at the least. The exit code is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PIL import Image
from tests.fakes import recipes
from tests.fakes.finished_jobs import finished_job, noise_mesh
from tests.fakes.flapping import FlappingLine
from tests.fakes.served import client_with, served

from kiss3d_backend.config import DataDir
from kiss3d_protocol.client import Client
from kiss3d_protocol.messages import Cancelled, Finished, MeshReady, Progress, Submit, new_job_id
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import BlobWriter
from kiss3d_protocol.session import Received

MOST_EXTRA = 0.1
MOST_CANCEL_SECONDS = 1.0


def picture() -> bytes:
    """A small picture with an object on a transparent ground."""
    image = Image.new("RGBA", (96, 96), (0, 0, 0, 0))
    image.paste((200, 60, 40, 255), (16, 16, 80, 80))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def wait_for(client: Client, kind: type, job: str) -> None:
    """Until a message of this class comes for the job."""
    while True:
        news = client.wait(120)
        if news is None:
            raise SystemExit(f"no {kind.__name__} came")
        if isinstance(news, Received) and isinstance(news.message, kind) and news.message.job == job:
            return


def cancel_again_and_again(client: Client, stop: threading.Event, seconds: list[float]) -> None:
    """Begins jobs and cancels them while they run; notes how long each cancel took."""
    data = picture()
    while not stop.is_set():
        writer = BlobWriter()
        image = writer.image(data, "image/png", 96, 96)
        submit = Submit(new_job_id(), "disc.png", GenerateParams(seed=recipes.SLOW), image)
        client.submit(submit, writer.blobs)
        wait_for(client, Progress, submit.job)
        begun = time.perf_counter()
        client.cancel(submit.job)
        wait_for(client, Cancelled, submit.job)
        seconds.append(time.perf_counter() - begun)
        stop.wait(1.0)


def download(client: Client, line: FlappingLine, job: str, size: int, cuts: int) -> int:
    """Follows the job to its end and makes trouble, evenly over the bytes; returns how much trouble was made."""
    troubles = [line.cut, line.cut, line.halve, line.double, line.cut]
    client.attach(job)
    connections = made = 0
    came: list[Received] = []
    while not came or not isinstance(came[-1].message, Finished):
        news = client.wait(0.05)
        came += [news] if isinstance(news, Received) else []
        if made < cuts and line.connections > connections and line.carried > size * (made + 1) / (cuts + 1):
            connections = line.connections
            troubles[made % len(troubles)]()
            made += 1
    if sum(isinstance(each.message, MeshReady) for each in came) != 2:
        raise SystemExit("a mesh is missing")
    return made


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=40.0)
    parser.add_argument("--mbit", type=float, default=1.0)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--delay", type=float, default=0.3)
    args = parser.parse_args()

    mesh = noise_mesh(int(args.megabytes * 1e6))
    size = sum(memoryview(blob).nbytes for blob in mesh[1])
    bytes_per_second = args.mbit * 1e6 / 8
    cancels: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        job = finished_job(DataDir(root), mesh)
        with (
            served(root) as backend,
            FlappingLine(backend.address, bytes_per_second=bytes_per_second, delay=args.delay) as line,
            client_with(backend.address, backend.paired("other")) as other,
            Client(line.address, "bench/1") as client,
        ):
            other.connected(30)
            client.connected(60)
            stop = threading.Event()
            thread = threading.Thread(target=cancel_again_and_again, args=(other, stop, cancels))
            thread.start()
            begun = time.perf_counter()
            made = download(client, line, job, size, args.cuts)
            seconds = time.perf_counter() - begun
            stop.set()
            thread.join()
            extra = line.carried / size - 1
            connections = line.connections
    result = {
        "bytes": size,
        "cuts": made,
        "connections": connections,
        "seconds": round(seconds, 1),
        "line_seconds": round(size / bytes_per_second, 1),
        "extra": round(extra, 4),
        "cancels": len(cancels),
        "cancel": round(max(cancels), 3),
        "cancel_median": round(sorted(cancels)[len(cancels) // 2], 3),
    }
    result["ok"] = made == args.cuts and extra < MOST_EXTRA and result["cancel"] < MOST_CANCEL_SECONDS
    print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
