"""The supervisor with real worker processes that misbehave."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import signal
import sys
import time
from typing import Any

import pytest
from tests.fakes import recipes
from tests.fakes.backend_process import MISBEHAVING, REPOSITORY

from kiss3d_backend.config import DataDir, WorkerLimits
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.inputs import StoredInputs
from kiss3d_backend.worker.local_process import launch_here
from kiss3d_backend.worker.messages import StartJob
from kiss3d_backend.worker.supervisor import Interrupted, Notice, Supervisor, WorkerState
from kiss3d_protocol.errors import JobNotWaiting, ParamsInvalid
from kiss3d_protocol.messages import (
    TERMINAL_EVENTS,
    BundlesReady,
    Cancelled,
    Event,
    Finished,
    MeshReady,
    Progress,
    new_job_id,
)
from kiss3d_protocol.params import GenerateParams


class Harness:
    """A supervisor and the loop that a broker would run around it."""

    def __init__(self, data_dir: DataDir, limits: WorkerLimits | None = None, command: list[str] | None = None):
        self.artifacts = Artifacts(data_dir.artifacts)
        self.picture = self.artifacts.put(b"picture")
        self.notices: queue.SimpleQueue[Notice] = queue.SimpleQueue()
        worker = [sys.executable, "-m", "kiss3d_backend.worker.main", "--data-dir", str(data_dir.root)]
        self.skipped = 0.0
        """Seconds by which the supervisor's clock is ahead. Limits pass at once, and a busy machine reaches none."""
        command = command or [*worker, "--recipes", MISBEHAVING]
        self.supervisor = Supervisor(
            "one", launch_here(command), self.notices.put, limits, lambda: time.monotonic() + self.skipped
        )
        self.events: list[Event] = []
        self.interrupted: list[Interrupted] = []

    def until(self, condition, timeout: float = 15.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            self.supervisor.tick()
            with contextlib.suppress(queue.Empty):
                for each in self.supervisor.handle(self.notices.get(timeout=0.02)):
                    if isinstance(each, Interrupted):
                        self.interrupted.append(each)
                    else:
                        self.events.append(each.event)

    @property
    def pid(self) -> int | None:
        """Of the worker that is ready."""
        return self.supervisor.ready.pid if self.supervisor.ready else None

    def idle(self) -> None:
        self.until(lambda: self.supervisor.state is WorkerState.IDLE)

    def start(self, seed: int, **params: Any) -> str:
        self.idle()
        job = new_job_id()
        self.events.clear()
        self.supervisor.run(StartJob(job, GenerateParams("draft", seed, **params), StoredInputs(self.picture)))
        return job

    def started(self) -> None:
        self.until(lambda: any(isinstance(event, Progress) for event in self.events))

    def ended(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], TERMINAL_EVENTS)

    def passing(self, limit: float) -> None:
        """Lets as much time pass as the limit allows, as often as it takes until the job ends."""

        def again() -> bool:
            self.skipped += limit
            return self.ended()

        self.until(again)

    def interruption(self) -> Interrupted:
        self.until(lambda: self.interrupted)
        assert not [event for event in self.events if isinstance(event, TERMINAL_EVENTS)]
        return self.interrupted.pop()

    def end(self) -> Event:
        self.until(self.ended)
        assert sum(isinstance(event, TERMINAL_EVENTS) for event in self.events) == 1
        return self.events[-1]


@pytest.fixture
def harness(data_dir: DataDir, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    made: list[Harness] = []

    def make(limits: WorkerLimits | None = None, command: list[str] | None = None) -> Harness:
        made.append(Harness(data_dir, limits, command))
        return made[-1]

    yield make
    for each in made:
        each.supervisor.close()


def runs_the_next_job(harness: Harness) -> bool:
    harness.start(recipes.QUICK)
    return isinstance(harness.end(), Finished)


def test_two_jobs_in_one_process(harness):
    h = harness()
    assert runs_the_next_job(h)
    first = h.pid
    assert runs_the_next_job(h)
    assert h.pid == first
    assert h.supervisor.ready.versions["kiss3d"]


def test_kill_9(harness):
    h = harness()
    job = h.start(recipes.SLOW)
    h.started()
    before = time.monotonic()
    os.kill(h.pid, signal.SIGKILL)
    interruption = h.interruption()
    assert (interruption.job, interruption.why.code) == (job, "job.worker_died")
    assert "memory" in interruption.why.message
    assert time.monotonic() - before < 5
    assert runs_the_next_job(h)


def test_exit_in_a_stage(harness):
    h = harness()
    h.start(recipes.EXIT)
    assert "exit code 7" in h.interruption().why.message
    assert runs_the_next_job(h)


def test_out_of_memory_gets_a_fresh_process(harness):
    h = harness()
    h.idle()
    first = h.pid
    h.start(recipes.NO_MEMORY)
    assert h.end().code == "job.out_of_memory"
    assert h.supervisor.state is not WorkerState.IDLE
    assert runs_the_next_job(h)
    assert h.pid != first


def test_a_broken_stage_keeps_the_process(harness):
    h = harness()
    h.idle()
    first = h.pid
    h.start(recipes.BROKEN)
    end = h.end()
    assert end.code == "job.stage_failed"
    assert "Misbehaving" in end.message
    assert runs_the_next_job(h)
    assert h.pid == first


def test_a_hanging_stage_is_killed(harness):
    limits = WorkerLimits(heartbeat=math.inf)
    h = harness(limits)
    h.start(recipes.HANG)
    h.started()
    h.passing(limits.silence)
    end = h.end()
    assert end.code == "job.worker_hung" and "no progress" in end.message
    assert runs_the_next_job(h)


def test_a_frozen_process_is_killed(harness):
    h = harness()
    h.start(recipes.SLOW)
    h.started()
    os.kill(h.pid, signal.SIGSTOP)
    h.passing(WorkerLimits().heartbeat)
    assert h.end().code == "job.worker_hung"
    assert runs_the_next_job(h)


def test_cancel_is_obeyed(harness):
    h = harness()
    h.start(recipes.SLOW)
    h.started()
    first = h.pid
    before = time.monotonic()
    assert h.supervisor.cancel(h.supervisor.job)
    assert isinstance(h.end(), Cancelled)
    assert time.monotonic() - before < 1
    assert runs_the_next_job(h)
    assert h.pid == first


def test_cancel_of_a_deaf_stage_is_enforced(harness):
    h = harness()
    h.start(recipes.DEAF)
    h.started()
    h.supervisor.cancel(h.supervisor.job)
    h.passing(WorkerLimits().cancel)
    assert isinstance(h.end(), Cancelled)
    assert runs_the_next_job(h)


def test_cancel_of_another_job_does_nothing(harness):
    h = harness()
    h.start(recipes.SLOW)
    assert not h.supervisor.cancel(new_job_id())
    h.supervisor.cancel(h.supervisor.job)
    assert isinstance(h.end(), Cancelled)


@pytest.mark.parametrize(
    "command",
    [["/nowhere/python"], [sys.executable, "-c", "raise SystemExit(3)"], [sys.executable, "-c", "print('x' * 100)"]],
    ids=["missing", "exits", "talks nonsense"],
)
def test_a_worker_that_never_starts_is_named(harness, command: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kiss3d_backend.worker.supervisor.RESTART_PAUSES", (0.0, 0.0, 0.05, 0.05, 30.0))
    h = harness(command=command)
    h.until(lambda: h.supervisor.start_problem is not None)
    assert h.supervisor.start_problem.code == "backend.start_failed"


def choosing(harness: Harness, bundles: int) -> str:
    job = harness.start(recipes.BUNDLES, bundles=bundles, choose=True)
    harness.until(lambda: any(isinstance(event, BundlesReady) for event in harness.events))
    return job


def test_a_job_waits_for_a_choice_and_goes_on_with_it(harness):
    # Silence counts as a hang, but not while a person thinks.
    limits = WorkerLimits(heartbeat=math.inf)
    harness = harness(limits)
    job = choosing(harness, 3)
    (ready,) = [event for event in harness.events if isinstance(event, BundlesReady)]
    assert ready.waiting and [bundle.seed for bundle in ready.bundles] == [7, 8, 9]
    harness.skipped += 2 * limits.silence
    assert not harness.supervisor.tick() and harness.supervisor.job == job
    for wrong in ((), (3,), (0, 0)):
        with pytest.raises(ParamsInvalid):
            harness.supervisor.choose(job, wrong)
    with pytest.raises(JobNotWaiting):
        harness.supervisor.choose(new_job_id(), (0,))
    harness.supervisor.choose(job, (2, 0))
    harness.supervisor.choose(job, (0, 2))
    with pytest.raises(JobNotWaiting):
        harness.supervisor.choose(job, (1,))
    assert isinstance(harness.end(), Finished)
    meshes = [(event.quality, event.bundle) for event in harness.events if isinstance(event, MeshReady)]
    assert meshes == [("coarse", 0), ("final", 0), ("final", 2)]
    # Without a choice all are taken.
    harness.start(recipes.BUNDLES, bundles=2)
    assert isinstance(harness.end(), Finished)
    assert [event.waiting for event in harness.events if isinstance(event, BundlesReady)] == [False]
    # Who waits can be cancelled.
    job = choosing(harness, 2)
    harness.supervisor.cancel(job)
    assert isinstance(harness.end(), Cancelled)


def test_the_worker_ends_with_its_broker(harness):
    h = harness()
    h.start(recipes.HANG)
    h.until(lambda: h.events)
    process = h.supervisor._process.worker._popen
    h.supervisor.close()
    assert process.poll() == 0
