"""Jobs on the machines of a Ray cluster: two nodes on this one, of which one is lost, and another comes."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from attrs import define, field
from PIL import Image
from tests.fakes.backend_process import BackendProcess
from tests.fakes.ray_cluster import LoopbackCluster, loopback_cluster, needs_linux

from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.store import JobStore
from kiss3d_backend.reports.folder import ReportFolder
from kiss3d_backend.reports.record import RunRecord
from kiss3d_protocol.client import Client
from kiss3d_protocol.messages import (
    TERMINAL_EVENTS,
    Cancelled,
    Event,
    Finished,
    StageStarted,
    Status,
    Submit,
    WarningRaised,
    new_job_id,
)
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import BlobWriter
from kiss3d_protocol.session import Received

pytestmark = needs_linux

PATIENCE = 120.0


@define
class Desk:
    """A client, and all that it has heard of its jobs and of the workers."""

    client: Client
    data: DataDir
    backend: BackendProcess
    events: dict[str, list[Event]] = field(factory=dict[str, list[Event]])
    status: Status | None = None

    def submit(self, png: bytes, *, gate: Path | None = None, views: bool = False, seed: int = 0) -> str:
        """``gate``: what the job waits for in its last step."""
        writer = BlobWriter()
        params = GenerateParams(
            "draft", seed, recipe="views_to_3d" if views else "image_to_3d", prompt="" if gate is None else str(gate)
        )
        if views:
            refs = tuple(writer.image(view(number), "image/png") for number in range(4))
            submit = Submit(new_job_id(), "views", params, None, views=refs)
        else:
            submit = Submit(new_job_id(), "disc.png", params, writer.image(png, "image/png", 96, 96))
        self.client.submit(submit, writer.blobs)
        self.events[submit.job] = []
        return submit.job

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        asked = 0.0
        while not condition():
            assert time.monotonic() < deadline, (self.status, self.events)
            if time.monotonic() > asked + 0.2:
                asked = time.monotonic()
                self.client.get_status()
            news = self.client.wait(0.1)
            if isinstance(news, Received):
                if isinstance(news.message, Status):
                    self.status = news.message
                elif isinstance(news.message, Event):
                    self.events[news.message.job].append(news.message)

    def ended(self, *jobs: str) -> bool:
        return all(self.events[job] and isinstance(self.events[job][-1], TERMINAL_EVENTS) for job in jobs)

    def workers(self, condition: str) -> list[str]:
        """The names of those that are in it, as the last status says."""
        workers = self.status.workers if self.status else ()
        return [worker.name for worker in workers if worker.condition == condition]

    def idle(self, count: int) -> list[str]:
        """The names of exactly so many workers, once all are idle."""
        self.until(lambda: self.status and len(self.status.workers) == len(self.workers("idle")) == count)
        return self.workers("idle")

    def where(self, job: str) -> str | None:
        """The worker that has the job, as the last status says."""
        workers = self.status.workers if self.status else ()
        return next((worker.name for worker in workers if worker.job == job), None)

    def in_last_step(self, job: str) -> bool:
        return any(isinstance(event, StageStarted) and event.stage == "finish" for event in self.events[job])

    def run(self, job: str) -> RunRecord:
        """What the worker noted of it, as it lies on the backend's disk."""
        return ReportFolder(self.data.reports).read_run(job)

    def check_numbers(self, job: str) -> None:
        """Every event came once, in order, and is on the disk."""
        numbers = [event.number for event in self.events[job] if event.number]
        store = JobStore(self.data.database)
        assert numbers == list(range(1, store.get(job).last_number + 1))
        store.close()


def view(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (50 * number, 90, 120)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def cluster() -> Iterator[LoopbackCluster]:
    with loopback_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def second_node(cluster: LoopbackCluster) -> Any:
    return cluster.add_node()


@pytest.fixture(scope="module")
def desk(cluster: LoopbackCluster, second_node: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    data = DataDir(tmp_path_factory.mktemp("ray") / "data")
    backend = begin(data, cluster)
    with Client(backend.address, "test/1") as client:
        desk = Desk(client, data, backend)
        client.connected(60)
        yield desk
    assert desk.backend.stop() == 0


def begin(data: DataDir, cluster: LoopbackCluster, bind: str = "tcp://127.0.0.1:0") -> BackendProcess:
    arguments = ["--executor", "ray", "--ray-address", cluster.address]
    recipes = "tests.fakes.far_recipes:RECIPES"
    return BackendProcess(data.root, recipes=recipes, bind=bind, arguments=arguments).__enter__()


def test_a_job_prefers_the_worker_that_has_its_networks(desk: Desk, png: bytes) -> None:
    assert len(desk.idle(2)) == 2
    jobs: list[str] = []
    for number in range(6):
        jobs.append(desk.submit(png, views=number % 2 == 1, seed=number))
        desk.until(lambda: desk.ended(jobs[-1]))
    assert all(isinstance(desk.events[job][-1], Finished) for job in jobs)
    loads = [[load.name for stage in desk.run(job).stages for load in stage.loads] for job in jobs]
    assert loads == [["cut-out", "shaper"], ["reader", "refiner"], [], [], [], []]
    desk.status = None
    desk.idle(2)
    workers = desk.status.workers if desk.status else ()
    assert sorted(worker.networks for worker in workers) == [("cut-out", "shaper"), ("reader", "refiner")]
    assert all(worker.device is not None and worker.memory > 0 for worker in workers)


def test_twelve_jobs_on_two_nodes_of_which_one_is_lost(
    desk: Desk, cluster: LoopbackCluster, second_node: Any, png: bytes, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    seen: set[str] = set()
    jobs = [desk.submit(png, gate=gate if number >= 4 else None, seed=100 + number) for number in range(12)]
    desk.until(lambda: seen.update(desk.workers("busy")) or sum(desk.where(job) is not None for job in jobs[4:]) == 2)
    assert len(seen) == 2, "spread over both"
    lost_name = next(name for name in seen if name.split("/")[1] == str(second_node.node_id)[:8])
    (lost,) = [job for job in jobs if desk.where(job) == lost_name]
    desk.until(lambda: desk.in_last_step(lost))
    cluster.kill_node(second_node)
    desk.until(lambda: any(isinstance(event, WarningRaised) for event in desk.events[lost]))
    gate.touch()
    desk.until(lambda: desk.ended(*jobs))
    assert [type(desk.events[job][-1]) for job in jobs] == [Finished] * 12
    for job in jobs:
        desk.check_numbers(job)
        warned = [event.code for event in desk.events[job] if isinstance(event, WarningRaised)]
        assert warned == (["job.worker_died"] if job == lost else [])
    # Its first step was not done again: what the lost machine had made of it was kept beside the backend.
    assert [stage.from_checkpoint for stage in desk.run(lost).stages] == [True, False]
    assert desk.idle(1) == [name for name in seen if name != lost_name]


def test_a_new_node_takes_jobs_at_once_and_neither_cancel_nor_kill_is_lost(
    desk: Desk, cluster: LoopbackCluster, png: bytes, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    jobs = [desk.submit(png, gate=gate, seed=200 + number) for number in range(3)]
    desk.until(lambda: desk.in_last_step(jobs[0]))
    assert not any(isinstance(event, StageStarted) for event in desk.events[jobs[1]]), "there is one worker"
    cluster.add_node()
    desk.until(lambda: desk.in_last_step(jobs[1]))
    desk.client.cancel(jobs[0])
    desk.until(lambda: desk.ended(jobs[0]) and desk.in_last_step(jobs[2]))
    assert isinstance(desk.events[jobs[0]][-1], Cancelled)
    # Both workers are killed, while their machines live on.
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # others come and go
            if any("WorkerActor" in word for word in process.cmdline()[:1]):
                process.kill()
    desk.until(lambda: all(any(isinstance(e, WarningRaised) for e in desk.events[job]) for job in jobs[1:]))
    gate.touch()
    desk.until(lambda: desk.ended(*jobs))
    assert [type(desk.events[job][-1]) for job in jobs] == [Cancelled, Finished, Finished]
    for job in jobs:
        desk.check_numbers(job)
    desk.idle(2)


def test_a_backend_that_is_killed_leaves_the_cards_to_the_next_one(
    desk: Desk, cluster: LoopbackCluster, png: bytes, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = desk.submit(png, gate=gate, seed=300)
    desk.until(lambda: desk.in_last_step(job))
    desk.backend.kill()
    desk.backend = begin(desk.data, cluster, desk.backend.address)
    gate.touch()
    desk.until(lambda: desk.ended(job))
    assert isinstance(desk.events[job][-1], Finished)
    desk.check_numbers(job)
    assert [stage.from_checkpoint for stage in desk.run(job).stages] == [True, False]
    desk.idle(2)
