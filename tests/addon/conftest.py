"""A monitor with a scene that only takes notes, against scripted backends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from blender_addon.capture.picture import Picture
from blender_addon.connection import AddressTarget, BackendTarget, Connection
from blender_addon.importer.arrays import MeshArrays
from blender_addon.job import Job
from blender_addon.job_inputs import JobInputs
from blender_addon.job_monitor import JobMonitor
from tests.fakes.meshes import sphere

from kiss3d_protocol.client import Client
from kiss3d_protocol.messages import new_job_id
from kiss3d_protocol.params import GenerateParams

PICTURE = Picture(sphere(8, 6).texture, "image/png", "chair")


@dataclass
class Target:
    name: str = "chair"
    size: float = 2.0
    job: str = field(default_factory=new_job_id)


@dataclass
class NotedScene:
    """Every call as (what, job id, detail); ``hindered`` and ``locked`` hold results back; ``problem`` is raised."""

    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    hindered: str = ""
    locked: bool = False
    problem: Exception | None = None

    def hindrance(self, target: Target) -> str:
        return self.hindered

    def place(self, target: Target, arrays: MeshArrays, recipe: dict[str, Any]) -> None:
        if self.problem is not None:
            raise self.problem
        self.calls.append(("place", target.job, recipe["quality"]))

    def finish(self, target: Target, recipe: dict[str, Any]) -> None:
        self.calls.append(("finish", target.job, recipe))

    def removable(self, target: Target) -> bool:
        return not self.locked

    def remove(self, target: Target) -> None:
        self.calls.append(("remove", target.job, None))

    def of(self, job: Job) -> list[str]:
        """What was done for a job, with the quality of meshes."""
        return [f"place {detail}" if what == "place" else what for what, one, detail in self.calls if one == job.id]


@dataclass
class Bench:
    """The monitor and what a test needs around it."""

    monitor: JobMonitor
    scene: NotedScene

    def submit(self, backend: str | BackendTarget, name: str = "chair", preset: str = "draft", **more: Any) -> Job:
        target = AddressTarget(backend) if isinstance(backend, str) else backend
        return self.monitor.submit(
            target, JobInputs(PICTURE.name, PICTURE), GenerateParams(preset, 1), Target(name), **more
        )

    def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            self.monitor.poll()
            assert time.monotonic() < deadline, [job.state for job in self.monitor.jobs.values()]
            time.sleep(0.002)

    def for_a_while(self, seconds: float = 0.2) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.monitor.poll()
            time.sleep(0.002)


@pytest.fixture
def quick_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients look for the reason of a silence sooner than they do for people."""
    monkeypatch.setitem(Client.__init__.__kwdefaults__, "diagnose_after", 0.2)


@pytest.fixture
def bench() -> Iterator[Bench]:
    scene = NotedScene()

    def connect(backend: BackendTarget) -> Connection:
        return Connection(backend, "test/1", network_allowed=lambda: False)

    monitor = JobMonitor(connect, scene, addon_version="9.9")
    yield Bench(monitor, scene)
    monitor.shut_down()
