"""Fifty clients, a thousand jobs in the queue, and as many events as an hour of work makes.

``python tests/benchmarks/bench_load.py`` prints one JSON object. The worker's process is a real one with a recipe that
makes the events of a draft job and a mesh as big as one, but computes nothing.

``submit_p50`` and ``submit_p99``: seconds from a submit to its ``queued`` event, with clients that submit at random,
``--rate`` a second in all, while the queue fills (target of p99: below 0.05). An accepted job is on the disk, so this
includes three waits for it; ``--folder`` names another one. ``submit_cpu``: seconds of the broker's processor time for
a submit. ``rss``: most bytes of the broker's process (target: below 300 MB). ``growth``: bytes by which it grew from a
tenth of the events to their end (target: below 30 MB). ``events``: of progress that the worker told; it comes at most
20 times a second, so an hour has 72,000. The exit code is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import psutil
import zmq
from attrs import define, field
from PIL import Image
from tests.fakes.backend_process import BackendProcess

from kiss3d_backend.clients.registry import ClientRegistry
from kiss3d_backend.config import DataDir
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_protocol.framing import decode_server, encode
from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.messages import (
    Cancel,
    Event,
    Finished,
    Hello,
    Ping,
    Progress,
    Queued,
    Refused,
    Submit,
    Welcome,
    new_job_id,
)
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import BlobWriter
from kiss3d_protocol.security import ConnectionKeys, new_key_pair, secure_client
from kiss3d_protocol.version import PROTOCOL_VERSION

MOST_SUBMIT_SECONDS = 0.05
MOST_BYTES = 300e6
MOST_GROWTH = 30e6
EVENTS_OF_AN_HOUR = 72_000
BLOCKS = 1
"""The seed of a job that runs until it is cancelled."""


def _grid(side: int) -> Mesh:
    x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    positions = np.stack([x, y, x * y], -1).reshape(-1, 3).astype(np.float32)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).reshape(-1, 1)
    squares = np.concatenate([corner, corner + 1, corner + side, corner + 1, corner + side + 1, corner + side], 1)
    return Mesh(positions, squares.reshape(-1, 3).astype(np.int32))


class Pretend(Stage[int, Mesh]):
    """Tells as much as a draft job does in ``events`` steps of a twentieth of a second."""

    name = "pretend"
    title = "Pretending"
    weight = 1.0

    def run(self, value: int, context: StageContext) -> Mesh:
        while value == BLOCKS:
            context.check_cancelled()
            time.sleep(0.05)
        for step in range(EVENTS_OF_AN_HOUR // 1000):
            # Past the brake of the sink: an hour is to pass in minutes.
            context._sink.progress(self.name, 1, 1, step / 100, None)
        return _grid(78)


class PretendRecipe(Recipe):
    name = "pretend"

    def __init__(self) -> None:
        self.pretend = Pretend()
        self.stages = (self.pretend,)

    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        return run.stage(self.pretend, inputs.seed)


RECIPES = {"draft": PretendRecipe()}


@define(eq=False)
class LoadClient:
    """One connection. ``waiting``: when each submit was sent that has not been answered."""

    socket: zmq.Socket[bytes]
    waiting: dict[str, float] = field(factory=dict[str, float])

    def send(self, message: object, blobs: object = ()) -> None:
        self.socket.send_multipart(encode(message, blobs))  # pyright: ignore[reportArgumentType]


class Load:
    """All clients in one loop."""

    def __init__(self, clients: list[LoadClient]) -> None:
        self.clients = clients
        self.seconds: list[float] = []
        self.ended = 0
        self.events = 0
        self._poller = zmq.Poller()
        for client in clients:
            self._poller.register(client.socket, zmq.POLLIN)
        self._of = {client.socket: client for client in clients}
        self._next_ping = 0.0

    def run(self, seconds: float) -> None:
        """Reads what comes, for so long."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            if time.perf_counter() > self._next_ping:
                self._next_ping = time.perf_counter() + 2.0
                for client in self.clients:
                    client.send(Ping())
            for socket, _ in self._poller.poll(int(1000 * left) + 1):
                self._read(self._of[socket])  # pyright: ignore[reportArgumentType]

    def _read(self, client: LoadClient) -> None:
        while True:
            try:
                frames = client.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            message, _ = decode_server(frames)
            if isinstance(message, Refused):
                raise SystemExit(f"refused: {message.code} {message.message}")
            if isinstance(message, Event):
                self.events += isinstance(message, Progress)
            if isinstance(message, Queued) and message.number == 1:
                self.seconds.append(time.perf_counter() - client.waiting.pop(message.job))
            self.ended += isinstance(message, Finished)


@contextmanager
def connected(address: str, data: DataDir, count: int) -> Iterator[list[LoadClient]]:
    """So many clients, each with a key of its own."""
    keys = backend_keys()
    registry = ClientRegistry(data.clients, keys.owner.public)
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        clients: list[LoadClient] = []
        for number in range(count):
            once, own = new_key_pair(), new_key_pair()
            registry.begin_pairing(once.public, f"client-{number}", seconds=60.0, admin=False, renew=False)
            registry.redeem(once.public, own.public)
            socket = stack.enter_context(context.socket(zmq.DEALER))
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVTIMEO, 20_000)
            secure_client(socket, ConnectionKeys(keys.backend.public, own))
            socket.connect(address)
            client = LoadClient(socket)
            client.send(Hello(PROTOCOL_VERSION, "bench/1"))
            assert isinstance(decode_server(socket.recv_multipart())[0], Welcome)
            clients.append(client)
        registry.close()
        yield clients


class Memory:
    """Watches the memory of a process."""

    def __init__(self, pid: int) -> None:
        self.readings: list[int] = []
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            self.readings.append(self._process.memory_info().rss)


def picture(seed: int) -> bytes:
    """A photograph's worth of noise, another one for each seed."""
    noise = np.random.default_rng(seed).integers(0, 256, (300, 300, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


def submit_all(load: Load, pictures: list[bytes], rate: float) -> None:
    """Each client in turn at a random moment."""
    chance = random.Random(7)
    for number, data in enumerate(pictures):
        client = load.clients[number % len(load.clients)]
        writer = BlobWriter()
        image = writer.image(data, "image/png", 300, 300)
        submit = Submit(new_job_id(), "noise.png", GenerateParams(seed=0), image)
        client.waiting[submit.job] = time.perf_counter()
        client.send(submit, writer.blobs)
        load.run(chance.expovariate(rate))
    while any(client.waiting for client in load.clients):
        load.run(0.1)


def broker_seconds(backend: BackendProcess) -> float:
    """Processor time that the broker has taken so far."""
    times = psutil.Process(backend.process.pid).cpu_times()
    return times.user + times.system


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20.0, help="submits a second, of all clients")
    parser.add_argument("--folder", type=Path, help="where the data lies for the while; default: the system's choice")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        pictures = [picture(number) for number in range(args.jobs)]
        data = DataDir(Path(folder) / "data")
        with (
            BackendProcess(data.root, recipes="tests.benchmarks.bench_load:RECIPES") as backend,
            connected(backend.address, data, args.clients) as clients,
            Memory(backend.process.pid) as memory,
        ):
            load = Load(clients)
            blocker = new_job_id()
            writer = BlobWriter()
            image = writer.image(picture(args.jobs), "image/png", 300, 300)
            clients[0].waiting[blocker] = time.perf_counter()
            clients[0].send(Submit(blocker, "blocker", GenerateParams(seed=BLOCKS), image), writer.blobs)
            load.run(5.0)
            load.seconds.clear()
            before = broker_seconds(backend)
            submit_all(load, pictures, args.rate)
            submit_cpu = (broker_seconds(backend) - before) / args.jobs
            full = memory.readings[-1]
            clients[0].send(Cancel(blocker))
            begun, early = time.perf_counter(), 0
            while load.ended < args.jobs:
                load.run(0.25)
                if not early and load.ended >= args.jobs / 10:
                    early = memory.readings[-1]
                if time.perf_counter() - begun > 1800:
                    raise SystemExit(f"only {load.ended} jobs ended")
            drained = time.perf_counter() - begun
            load.run(1.0)
            late = memory.readings[-1]
    ordered = sorted(load.seconds)
    result = {
        "clients": args.clients,
        "jobs": args.jobs,
        "submit_p50": round(ordered[len(ordered) // 2], 4),
        "submit_p99": round(ordered[int(len(ordered) * 0.99)], 4),
        "submit_max": round(ordered[-1], 4),
        "submit_cpu": round(submit_cpu, 5),
        "events": args.jobs * (EVENTS_OF_AN_HOUR // 1000),
        "events_read": load.events,
        "drain_seconds": round(drained, 1),
        "rss": max(memory.readings),
        "rss_with_full_queue": full,
        "rss_at_end": late,
        "growth": late - early,
    }
    result["ok"] = (
        result["submit_p99"] < MOST_SUBMIT_SECONDS and result["rss"] < MOST_BYTES and result["growth"] < MOST_GROWTH
    )
    print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
