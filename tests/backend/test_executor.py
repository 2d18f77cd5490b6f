"""Jobs on several workers: who gets which, what a lost slot means, and that numbers have no gaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kiss3d_backend.broker.dispatch import Dispatch
from kiss3d_backend.config import WorkerLimits
from kiss3d_backend.executor.affinity import SlotState, choose_slot
from kiss3d_backend.executor.executor import Executor
from kiss3d_backend.jobs.book import JobBook, Posted
from kiss3d_backend.jobs.keeper import DiskReserve
from kiss3d_backend.worker.messages import (
    CancelJob,
    ChooseBundles,
    FromWorker,
    StartJob,
    ToWorker,
    WorkerAlive,
    WorkerEvent,
    WorkerNetworks,
    WorkerReady,
)
from kiss3d_backend.worker.process import Ended, Tell
from kiss3d_backend.worker.supervisor import RESTART_PAUSES, Notice, WorkerState
from kiss3d_protocol.errors import BackendStartFailed, JobNotWaiting, Kiss3DError, NoWorkers, WorkerDied
from kiss3d_protocol.messages import (
    BundleOffer,
    BundlesReady,
    Cancelled,
    Device,
    Failed,
    Finished,
    JobReport,
    StageStarted,
    WarningRaised,
)
from kiss3d_protocol.payloads import ImageRef

IDLE, BUSY, STARTING, STOPPED = WorkerState.IDLE, WorkerState.BUSY, WorkerState.STARTING, WorkerState.STOPPED


def slot(name: str, *loaded: str, state: WorkerState = IDLE) -> SlotState:
    return SlotState(name, state, loaded=frozenset(loaded))


@pytest.mark.parametrize(
    ("slots", "needs", "chosen"),
    [
        ([], "ab", None),
        (
            [slot("1", state=BUSY), slot("2", state=WorkerState.STARTING), slot("3", state=WorkerState.STOPPED)],
            "",
            None,
        ),
        ([slot("1"), slot("2")], "", "1"),
        ([slot("1", "a"), slot("2", "a", "b")], "ab", "2"),
        ([slot("1", "a"), slot("2", "b")], "b", "2"),
        # The warm one is busy: it is not waited for.
        ([slot("1"), slot("2", "a", "b", state=BUSY)], "ab", "1"),
        # What needs nothing leaves the warm workers to others; what needs new networks too.
        ([slot("1", "a", "b"), slot("2", "a"), slot("3")], "", "3"),
        ([slot("1", "a"), slot("2")], "c", "2"),
        # Half of what is needed beats nothing, whatever else is there.
        ([slot("1", "a", "x", "y"), slot("2")], "ab", "1"),
        ([slot("1", "a", "x"), slot("2", "a")], "a", "2"),
    ],
)
def test_a_job_goes_to_the_idle_worker_with_most_of_its_networks(
    slots: list[SlotState], needs: str, chosen: str | None
) -> None:
    assert choose_slot(slots, frozenset(needs)) == chosen


class FakeWorker:
    """A worker of which the test says what it tells."""

    def __init__(self, tell: Tell, remote: bool) -> None:
        self.tell, self.remote, self.title = tell, remote, "a fake"
        self.orders: list[ToWorker] = []
        self.killed = self.closed = False

    def say(self, message: ToWorker) -> None:
        self.orders.append(message)

    def kill(self) -> None:
        self.killed = True

    def close(self, seconds: float) -> None:
        self.closed = True


class FakeFleet:
    """Slots that the test adds and takes away. ``launched``: of each slot the workers that were started there."""

    def __init__(self, remote: bool = True) -> None:
        self.problem: Kiss3DError | None = None
        self.launched: dict[str, list[FakeWorker]] = {}
        self.there: set[str] = set()
        self.remote = remote
        self.refuses = False

    def slots(self) -> Any:
        return {name: self._launch(name) for name in sorted(self.there)}

    def _launch(self, name: str) -> Callable[[Tell, Callable[[], str | None]], FakeWorker]:
        def launch(tell: Tell, job: Callable[[], str | None]) -> FakeWorker:
            if self.refuses:
                raise OSError("no room")
            self.launched.setdefault(name, []).append(FakeWorker(tell, self.remote))
            return self.launched[name][-1]

        return launch

    def close(self) -> None:
        self.problem = None


class Rig:
    """A book, a dispatch and an executor with fake workers, and the loop of a broker around them."""

    def __init__(self, book: JobBook, reserve: DiskReserve, make_submit: Any, *slots: str, remote: bool = True) -> None:
        self.now = 0.0
        self.book, self.make_submit = book, make_submit
        self.fleet = FakeFleet(remote)
        self.fleet.there = set(slots)
        self.notices: list[Notice] = []
        self.executor = Executor(self.fleet, self.notices.append, WorkerLimits(), lambda: self.now)
        self.posted: list[Posted] = []
        self.dispatch = Dispatch(book, reserve, self.executor, self.posted.extend, lambda: None)
        self.turn()
        for name in slots:
            self.says(name, WorkerReady(1, {}))

    def turn(self) -> None:
        self.dispatch.tick()
        while self.notices:
            self.dispatch.hear(self.notices.pop(0))

    def worker(self, name: str) -> FakeWorker:
        return self.fleet.launched[name][-1]

    def says(self, name: str, *messages: FromWorker | Ended) -> None:
        for message in messages:
            self.worker(name).tell(message)
        self.turn()

    def submit(self, **params: Any) -> str:
        submit, blob = self.make_submit(**params)
        self.posted += self.book.submit(submit, [blob])
        self.turn()
        return submit.job

    def where(self) -> dict[str, str]:
        """The slot of each job that runs."""
        return {each.job: each.slot for each in self.executor.slots() if each.job is not None}

    def finish(self, job: str, used: str = "", loaded: str = "") -> None:
        self.says(self.where()[job], WorkerNetworks(tuple(used), tuple(loaded)), WorkerEvent(finished(job)))

    def state(self, job: str) -> str:
        return self.book.store.get(job).state

    def told(self, job: str) -> list[str]:
        """What clients were told of a job, once the numbers were seen to be complete and in order."""
        numbered = [each.event for each in self.posted if each.event.job == job and each.event.number]
        assert [event.number for event in numbered] == list(range(1, len(numbered) + 1))
        assert len(self.book.history(job, 0)[0]) == len(numbered)
        return [type(event).__name__ for event in numbered]


def finished(job: str) -> Finished:
    return Finished(job=job, report=JobReport("fake", "draft", 0, "0" * 64, 1.0, (), (), {}))


@pytest.fixture
def rig(book: JobBook, data_dir: Any, make_submit: Any) -> Callable[..., Rig]:
    def make(*slots: str, remote: bool = True) -> Rig:
        return Rig(book, DiskReserve(data_dir.reserve), make_submit, *slots, remote=remote)

    return make


def test_every_slot_has_a_job_and_each_its_own_events(rig: Callable[..., Rig]) -> None:
    r = rig("a", "b")
    jobs = [r.submit() for _ in range(3)]
    assert r.where() == {jobs[0]: "a", jobs[1]: "b"} and r.state(jobs[2]) == "queued"
    assert set(r.executor.jobs) == {jobs[0], jobs[1]} and not r.executor.can_run
    with pytest.raises(RuntimeError):
        r.executor.run(StartJob(jobs[2], r.book.store.get(jobs[2]).params, r.book.store.get(jobs[2]).inputs))
    r.says("b", WorkerEvent(StageStarted(job=jobs[1], stage="s", title="S", index=0, count=1)))
    # A worker that speaks of another's job is not listened to.
    r.says("a", WorkerEvent(StageStarted(job=jobs[1], stage="t", title="T", index=0, count=1)))
    r.finish(jobs[1])
    assert r.where() == {jobs[0]: "a", jobs[2]: "b"}
    r.finish(jobs[2])
    r.finish(jobs[0])
    assert [r.told(job) for job in jobs] == [
        ["Queued", "Finished"],
        ["Queued", "StageStarted", "Finished"],
        ["Queued", "Finished"],
    ]


def test_jobs_prefer_the_worker_that_has_their_networks(rig: Callable[..., Rig]) -> None:
    r = rig("a", "b")
    first, second = r.submit(preset="fast"), r.submit(preset="quality")
    r.finish(first, used="lf", loaded="lf")
    r.finish(second, used="lq", loaded="lq")
    for preset, expected in (("quality", "b"), ("fast", "a"), ("quality", "b"), ("fast", "a")):
        job = r.submit(preset=preset)
        assert r.where()[job] == expected, preset
        r.finish(job, used="lq" if preset == "quality" else "lf", loaded="lq" if preset == "quality" else "lf")
    # A worker that was started again has nothing loaded.
    r.says("b", Ended(WorkerDied("It was killed.")))
    r.turn()
    r.says("b", WorkerReady(2, {}))
    assert [each.loaded for each in r.executor.slots()] == [frozenset("lf"), frozenset()]
    job = r.submit(preset="quality")
    assert r.where()[job] == "a", "half of it is there"


def test_a_lost_slot_s_job_goes_on_elsewhere_and_new_slots_take_jobs(rig: Callable[..., Rig]) -> None:
    r = rig("a", "b")
    jobs = [r.submit() for _ in range(3)]
    lost = r.worker("b")
    r.fleet.there = {"a"}
    r.turn()
    assert lost.killed and r.where() == {jobs[0]: "a"} and r.state(jobs[1]) == "queued"
    # What still comes from there is of nobody's interest.
    lost.tell(WorkerEvent(finished(jobs[1])))
    lost.tell(Ended(WorkerDied("It is gone.")))
    r.turn()
    assert r.state(jobs[1]) == "queued"
    r.fleet.there = {"a", "c"}
    r.turn()
    r.says("c", WorkerReady(3, {}))
    assert r.where() == {jobs[0]: "a", jobs[1]: "c"}, "the interrupted one before the one that waits"
    for job in jobs:
        r.finish(job)
    assert [r.told(job) for job in jobs] == [
        ["Queued", "Finished"],
        ["Queued", "WarningRaised", "Finished"],
        ["Queued", "Finished"],
    ]
    (warning,) = [each.event for each in r.posted if isinstance(each.event, WarningRaised)]
    assert warning.code == "job.worker_died" and "left the cluster" in warning.message


def test_a_job_that_brings_every_machine_down_is_given_up(rig: Callable[..., Rig]) -> None:
    r = rig("a", "b")
    job = r.submit()
    for _ in range(3):
        slot = r.where()[job]
        r.says(slot, Ended(WorkerDied("The machine is gone.")))
        r.turn()
        r.says(slot, WorkerReady(2, {}))
    assert r.told(job) == ["Queued", "WarningRaised", "WarningRaised", "Failed"]
    assert r.book.store.get(job).error == "job.interrupted" and r.executor.jobs == ()


@pytest.mark.parametrize("remote", [False, True])
def test_silence_is_a_hang_here_and_may_be_the_network_elsewhere(rig: Callable[..., Rig], remote: bool) -> None:
    r = rig("a", remote=remote)
    job = r.submit()
    r.now += WorkerLimits().heartbeat + 1
    r.turn()
    assert r.worker("a").killed
    r.says("a", Ended(WorkerDied("It cannot be reached.")))
    end = r.posted[-1].event
    assert isinstance(end, WarningRaised) if remote else isinstance(end, Failed) and end.code == "job.worker_hung"
    assert r.state(job) == ("queued" if remote else "failed")


def test_a_cancel_reaches_its_job_and_is_answered_also_when_the_machine_is_lost(rig: Callable[..., Rig]) -> None:
    r = rig("a", "b")
    first, second = r.submit(), r.submit()
    assert r.executor.cancel(second) and not r.executor.cancel("nobody's")
    assert r.worker("b").orders[-1] == CancelJob(second)
    assert not any(isinstance(order, CancelJob) for order in r.worker("a").orders)
    r.now += WorkerLimits().cancel + 0.1
    r.turn()
    assert r.worker("b").killed
    r.says("b", Ended(WorkerDied("It cannot be reached.")))
    assert isinstance(r.posted[-1].event, Cancelled) and r.where() == {first: "a"}
    # The slot vanishes between the cancel and the end.
    r.executor.cancel(first)
    r.fleet.there = {"b"}
    r.turn()
    assert r.state(first) == "cancelled" and r.told(first) == ["Queued", "Cancelled"]


def test_a_choice_reaches_its_job(rig: Callable[..., Rig]) -> None:
    r = rig("a", "b")
    r.submit()
    job = r.submit(bundles=2, choose=True)
    with pytest.raises(JobNotWaiting):
        r.executor.choose("nobody's", (0,))
    offer = BundleOffer(ImageRef(0, "image/png", 8, 8, "0" * 64), 1)
    r.says("b", WorkerEvent(BundlesReady(job=job, stage="s", bundles=(offer, offer), waiting=True), ("0" * 64,) * 2))
    r.executor.choose(job, (1,))
    assert r.worker("b").orders[-1] == ChooseBundles(job, (1,))


def test_problems_of_some_slots_are_told_and_of_all_end_jobs(rig: Callable[..., Rig]) -> None:
    r = rig("a")
    r.fleet.refuses, r.fleet.there = True, {"a", "b"}
    alive = WorkerAlive(Device("cpu", "fake", None, None, 2, 1), 1)
    while r.now < sum(RESTART_PAUSES) + 2 * WorkerLimits().heartbeat:
        r.says("a", alive)
        r.now += WorkerLimits().heartbeat / 2
    assert [problem.code for problem in r.executor.problems] == ["backend.start_failed"]
    assert r.executor.start_problem is None
    job = r.submit()
    assert r.where() == {job: "a"}
    r.fleet.there = {"b"}
    r.turn()
    r.turn()
    assert isinstance(r.executor.start_problem, BackendStartFailed)
    assert r.book.store.get(job).error == "backend.start_failed"
    # With no slot at all jobs wait for one.
    r.fleet.there, r.fleet.problem = set(), NoWorkers("No machine has a card.")
    r.turn()
    assert [problem.code for problem in r.executor.problems] == ["backend.no_workers"]
    waiting = r.submit()
    assert r.state(waiting) == "queued" and r.executor.start_problem is None


def test_a_backend_that_stops_gives_out_no_more(rig: Callable[..., Rig]) -> None:
    r = rig("a", "b")
    first, second, third = (r.submit() for _ in range(3))
    r.dispatch.close()
    r.finish(first)
    assert r.where() == {second: "b"} and r.state(third) == "queued"
    worker = r.worker("b")
    r.executor.close()
    assert worker.closed and not worker.killed
