"""Kills a backend again and again while clients give it jobs, and then looks whether anything was lost.

Nothing here knows how the backend recovers: it sees what clients see, and at the end what lies on the disk.
"""

from __future__ import annotations

import contextlib
import io
import random
import time
from collections import Counter
from pathlib import Path

import psutil
from attrs import define, field, frozen
from PIL import Image, ImageDraw
from tests.fakes.backend_process import BackendProcess

from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.store import JobRecord, JobStore
from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import ArtifactLost
from kiss3d_protocol.framing import MAGIC, encode
from kiss3d_protocol.messages import (
    TERMINAL_EVENTS,
    Event,
    Failed,
    Finished,
    Progress,
    Refused,
    Submit,
    blob_refs,
    new_job_id,
)
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import BlobWriter, sha256_of
from kiss3d_protocol.session import Received

KINDS = ("worker", "broker", "both")
EARLY = 0.25
OUTSTANDING = 2
"""Jobs that each client has under way at once."""


@frozen
class SoakPlan:
    """``longest``: seconds at the most from the first sign of work to the next kill; drawn evenly. One kill in
    four counts from the start of the backend, and hits it while it recovers and its worker starts.
    ``patience``: seconds until the jobs that are left must have ended. ``most_seconds``: no further kill after these.
    """

    cycles: int
    seed: int
    clients: int = 3
    longest: float = 1.5
    recipes: str | None = None
    patience: float = 120.0
    most_seconds: float = float("inf")


@define
class _Seen:
    """What one client saw of one of its jobs: the numbered events, in the order in which they came."""

    events: list[Event] = field(factory=list[Event])
    damaged: int = 0

    @property
    def end(self) -> Event | None:
        return self.events[-1] if self.events and isinstance(self.events[-1], TERMINAL_EVENTS) else None


class _Customer:
    """A client that always has a few jobs under way. A real one: it reconnects and resumes by itself."""

    def __init__(self, address: str, number: int, chance: random.Random) -> None:
        self.jobs: dict[str, _Seen] = {}
        self.surprises: list[str] = []
        self._client = Client(address, f"soak-{number}/1")
        self._chance = chance

    @property
    def open_jobs(self) -> int:
        return sum(seen.end is None for seen in self.jobs.values())

    def give_work(self) -> None:
        while self.open_jobs < OUTSTANDING:
            writer = BlobWriter()
            image = writer.image(_picture(self._chance), "image/png")
            params = GenerateParams("draft", self._chance.randrange(1 << 20) << 3)
            submit = Submit(new_job_id(), "soak.png", params, image)
            self.jobs[submit.job] = _Seen()
            self._client.submit(submit, writer.blobs)

    def listen(self) -> bool:
        """Takes what has come; True when some of it is work on a job."""
        worked = False
        while (news := self._client.poll()) is not None:
            if not isinstance(news, Received):
                continue
            message = news.message
            worked |= isinstance(message, Progress)
            if isinstance(message, Refused):
                self.surprises.append(f"refused: {message.about} {message.job} {message.code}")
            elif isinstance(message, Event) and message.number:
                seen = self.jobs[message.job]
                seen.events.append(message)
                wrong = [ref for ref in blob_refs(message) if sha256_of(news.blobs[ref.blob]) != ref.sha256]
                seen.damaged += len(wrong)
        return worked

    def close(self) -> None:
        self._client.close()


class Soak:
    """One run in an empty data directory."""

    def __init__(self, plan: SoakPlan, data_dir: Path) -> None:
        self._plan = plan
        self._data = DataDir(data_dir)
        self._chance = random.Random(plan.seed)
        self._kills: Counter[str] = Counter()
        self._problems: list[str] = []

    def run(self) -> dict[str, object]:
        """The figures; ``problems`` is empty when nothing was lost, doubled or damaged."""
        began = time.monotonic()
        backend = self._start("tcp://127.0.0.1:0")
        address = backend.address
        customers = [_Customer(address, n, random.Random(self._chance.random())) for n in range(self._plan.clients)]
        try:
            for _ in range(self._plan.cycles):
                if time.monotonic() - began > self._plan.most_seconds:
                    break
                self._live(customers)
                backend = self._kill(backend, address)
            self._finish(customers)
        finally:
            for customer in customers:
                customer.close()
            backend.stop()
        return self._figures(customers, time.monotonic() - began)

    def _start(self, address: str) -> BackendProcess:
        return BackendProcess(self._data.root, recipes=self._plan.recipes, bind=address).__enter__()

    def _live(self, customers: list[_Customer]) -> None:
        """Until the moment of the next kill."""
        life, early = self._chance.uniform(0, self._plan.longest), self._chance.random() < EARLY
        began = time.monotonic()
        until = began + (life if early else self._plan.patience)
        waiting = not early
        while time.monotonic() < until:
            worked = False
            for customer in customers:
                worked |= customer.listen()
                customer.give_work()
            if waiting and worked:
                waiting, until = False, time.monotonic() + life
            time.sleep(0.005)
        if waiting:
            self._problems.append(f"no job was worked on for {self._plan.patience} s")

    def _kill(self, backend: BackendProcess, address: str) -> BackendProcess:
        kind = self._chance.choice(KINDS)
        self._kills[kind] += 1
        workers = psutil.Process(backend.process.pid).children(recursive=True)
        if kind != "broker":
            for worker in workers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.kill()
        if kind == "worker":
            return backend
        backend.kill()
        _, alive = psutil.wait_procs(workers, timeout=20)
        self._problems += [f"worker {worker.pid} outlived its broker" for worker in alive]
        return self._start(address)

    def _finish(self, customers: list[_Customer]) -> None:
        deadline = time.monotonic() + self._plan.patience
        while any(customer.open_jobs for customer in customers) and time.monotonic() < deadline:
            for customer in customers:
                customer.listen()
            time.sleep(0.02)

    def _figures(self, customers: list[_Customer], seconds: float) -> dict[str, object]:
        ends: Counter[str] = Counter()
        store, artifacts = JobStore(self._data.database), Artifacts(self._data.artifacts)
        blobs: set[str] = set()
        attempts: Counter[int] = Counter()
        records = {record.job: record for record in store.newest(1_000_000)}
        for customer in customers:
            self._problems += customer.surprises
            for job, seen in customer.jobs.items():
                ends[_end_of(seen)] += 1
                self._compare(job, seen, records.pop(job, None), store)
                blobs.update(name for event in store.events_after(job, 0) for name in event.artifacts)
                attempts[store.get(job).attempts] += 1
        self._problems += [f"job {job} is nobody's" for job in records]
        for name in blobs:
            try:
                artifacts.read(name)
            except ArtifactLost as error:
                self._problems.append(f"artifact {name}: {error.message}")
        store.close()
        return {
            "cycles": self._kills.total(),
            "seed": self._plan.seed,
            "kills": dict(self._kills),
            "jobs": sum(ends.values()),
            "ends": dict(ends),
            "attempts": {str(number): count for number, count in sorted(attempts.items())},
            "events": sum(len(seen.events) for customer in customers for seen in customer.jobs.values()),
            "artifacts": len(blobs),
            "seconds": round(seconds, 1),
            "problems": self._problems,
        }

    def _compare(self, job: str, seen: _Seen, record: JobRecord | None, store: JobStore) -> None:
        """What a client saw with what is stored."""
        if record is None:
            self._problems.append(f"job {job} is not on the disk")
            return
        stored = store.events_after(job, 0)
        if [event.number for event in seen.events] != list(range(1, len(stored) + 1)):
            self._problems.append(f"job {job}: {[event.number for event in seen.events]} of {len(stored)} events came")
        if [event.number for event in stored] != list(range(1, record.last_number + 1)):
            self._problems.append(f"job {job}: numbers are missing on the disk")
        if [bytes(encode_event(event)) for event in seen.events] != [event.envelope for event in stored]:
            self._problems.append(f"job {job}: other events came than those that are stored")
        if sum(isinstance(event, TERMINAL_EVENTS) for event in seen.events) != 1 or not record.ended:
            self._problems.append(f"job {job}: {record.state}, seen {[type(e).__name__ for e in seen.events]}")
        if seen.damaged:
            self._problems.append(f"job {job}: {seen.damaged} blobs came damaged")
        if not isinstance(seen.end, Finished | Failed):
            self._problems.append(f"job {job} ended as {seen.end}")


def encode_event(event: Event) -> bytes:
    """An event's envelope, without its blobs."""
    head, envelope, *_ = encode(event)  # pyright: ignore[reportArgumentType]
    assert bytes(head) == MAGIC
    return bytes(envelope)


def _end_of(seen: _Seen) -> str:
    return f"failed {seen.end.code}" if isinstance(seen.end, Failed) else type(seen.end).__name__.lower()


def _picture(chance: random.Random) -> bytes:
    """A small disc, another one each time, so that its mesh is another one too."""
    image = Image.new("RGBA", (96, 96), (0, 0, 0, 0))
    box = (chance.randrange(4, 30), chance.randrange(4, 30), chance.randrange(60, 92), chance.randrange(60, 92))
    ImageDraw.Draw(image).ellipse(box, fill=(chance.randrange(256), chance.randrange(256), 40, 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
