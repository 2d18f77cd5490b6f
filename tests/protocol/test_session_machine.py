"""Whatever happens to a connection, the user sees each numbered event once, in order, and one end."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.protocol.model_backend import ModelBackend
from tests.protocol.samples import mesh_ready, report, submit

from kiss3d_protocol.framing import decode_client
from kiss3d_protocol.messages import (
    TERMINAL_EVENTS,
    Cancelled,
    Event,
    Failed,
    Finished,
    Hello,
    MeshReady,
    Progress,
    StageStarted,
)
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.session import ClientSession, LinkChanged, LinkState, Received

JOBS = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(3)]
jobs = st.sampled_from(JOBS)
choices = st.integers(0, 11)


class Wire(RuleBasedStateMachine):
    """A session and a backend with a wire between them that keeps the order, and breaks.

    Whatever is on the wire is lost when it breaks. Neither side is told; a new connection is a new peer to the backend.
    The backend may also be unable to send something (ZeroMQ drops what a slow reader does not take), or send twice.
    It sends blobs with their events or in chunks.
    """

    @initialize(connected=st.booleans(), in_chunks=st.booleans())
    def start(self, connected: bool, in_chunks: bool) -> None:
        self.session = ClientSession("test/1")
        self.backend = ModelBackend(in_chunks=in_chunks)
        self.now = 100.0
        self.peer = 0
        self.up = True
        self.to_backend: deque[list[Blob]] = deque()
        self.to_client: deque[list[Blob]] = deque()
        self.wanted: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.seen: dict[str, list[Event]] = {job: [] for job in JOBS}
        self.links: list[LinkState] = []
        if connected:
            self.submit(JOBS[0])
            self.all_goes_well_for_a_while()

    # -- the user ---------------------------------------------------------------------------------------

    @rule(job=jobs)
    def submit(self, job: str) -> None:
        if job not in self.wanted and job not in self.backend.jobs:
            self.wanted[job] = 0
            self.session.submit(*submit(job))
            self._flush()

    @rule(job=jobs, after=st.integers(0, 3))
    def attach(self, job: str, after: int) -> None:
        history = self.backend.jobs.get(job)
        if job not in self.wanted and history:
            # Behind the end nothing would come.
            self.wanted[job] = min(after, len(history) - 1)
            self.session.attach(job, self.wanted[job])
            self._flush()

    @rule(job=jobs)
    def cancel(self, job: str) -> None:
        if job in self.wanted:
            self.cancelled.add(job)
            self.session.cancel(job)
            self._flush()

    # -- the backend ------------------------------------------------------------------------------------

    @rule(job=jobs)
    def another_client_submits(self, job: str) -> None:
        if job not in self.wanted and job not in self.backend.jobs:
            self.backend.create(job)

    @precondition(lambda self: self._running())
    @rule(
        choice=choices,
        kind=st.sampled_from(["stage", "stage", "progress", "mesh", "finished", "failed"]),
        times=st.integers(1, 3),
    )
    def something_happens(self, choice: int, kind: str, times: int) -> None:
        running = self._running()
        job = running[choice % len(running)]
        match kind:
            case "stage":
                for index in range(times):
                    self.backend.happen(StageStarted(job=job, stage="a", title="A", index=index, count=3))
            case "progress":
                self.backend.pass_by(Progress(job=job, stage="a", step=1, steps=2, fraction=0.5))
            case "mesh":
                self.backend.happen(*mesh_ready(job))
            case _:
                self._end(job, failed=kind == "failed")

    @precondition(lambda self: self.to_client or self.backend.outbox)
    @rule(data=st.data())
    def something_is_not_sent(self, data: st.DataObject) -> None:
        self._collect()
        if not self.to_client:
            return
        del self.to_client[data.draw(st.integers(0, len(self.to_client) - 1))]

    @precondition(lambda self: self.backend.jobs)
    @rule(choice=choices)
    def a_job_is_sent_again(self, choice: int) -> None:
        self.backend.send_again(sorted(self.backend.jobs)[choice % len(self.backend.jobs)])

    # -- the wire ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.to_backend)
    @rule(count=st.integers(1, 5))
    def backend_reads(self, count: int) -> None:
        for _ in range(min(count, len(self.to_backend))):
            self.backend.receive(self.peer, self.to_backend.popleft())
        self._collect()

    @precondition(lambda self: self.to_client or self.backend.outbox)
    @rule(count=st.integers(1, 10))
    def client_reads(self, count: int) -> None:
        self._collect()
        for _ in range(min(count, len(self.to_client))):
            self.session.receive(self.to_client.popleft(), self.now)
            self._flush()

    @rule()
    def all_is_read(self) -> None:
        self._collect()
        while self.to_backend or self.to_client:
            while self.to_backend:
                self.backend.receive(self.peer, self.to_backend.popleft())
            self._collect()
            while self.to_client:
                self.session.receive(self.to_client.popleft(), self.now)
                self._flush()

    @rule(seconds=st.sampled_from([0.1, 1.0, 2.5, 10.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        assert self.session.tick(self.now) > 0
        self._flush()

    @rule()
    def all_goes_well_for_a_while(self) -> None:
        self.up = True
        for _ in range(3):
            self.time_passes(1.0)
            self.all_is_read()

    @rule(kind=st.sampled_from(["cut", "away", "restart", "forgotten"]))
    def trouble(self, kind: str) -> None:
        if kind == "forgotten":
            self.backend.forget_peers()
            return
        if kind == "restart":
            self.backend.restart()
        self.up = kind != "away"
        self.to_backend.clear()
        self.to_client.clear()
        self.peer += 1

    # -- what must hold ---------------------------------------------------------------------------------

    @invariant()
    def every_event_once_and_in_order(self) -> None:
        for job, events in self.seen.items():
            first = self.wanted.get(job, 0) + 1
            numbers = [event.number for event in events if event.number]
            missing = set(range(first, max(numbers, default=0) + 1)) - set(numbers)
            assert numbers == sorted(set(numbers))
            assert missing <= self._left_out(job)
            ends = [event for event in events if isinstance(event, TERMINAL_EVENTS)]
            assert len(ends) <= 1
            assert not ends or events[-1] is ends[0]

    @invariant()
    def the_link_is_told_as_it_is(self) -> None:
        assert self.session.state is (self.links[-1] if self.links else LinkState.CONNECTING)
        assert all(first is not second or first is LinkState.CONNECTED for first, second in _pairs(self.links))

    def teardown(self) -> None:
        if not hasattr(self, "session"):
            return
        self.up = True
        # What was not sent is found at the next connection at the latest.
        self.backend.forget_peers()
        for _ in range(4):
            self.time_passes(2.5)
            self.all_is_read()
        assert self.session.state is LinkState.CONNECTED
        assert all(self.backend.ended(job) for job in self.cancelled)
        for job in self._running():
            self._end(job, failed=False)
        self.all_is_read()
        for job, after in self.wanted.items():
            seen = [event for event in self.seen[job] if event.number]
            happened = [event for event, _ in self.backend.jobs[job]][after:]
            assert [event for event in happened if event in seen or event.number not in self._left_out(job)] == seen
        self.every_event_once_and_in_order()

    # -- below ------------------------------------------------------------------------------------------

    def _left_out(self, job: str) -> set[int]:
        """What the user may not see: meshes in chunks of a job that was cancelled before they had come."""
        seen = self.seen[job]
        if not self.backend.in_chunks or not seen or not isinstance(seen[-1], Cancelled):
            return set()
        return {event.number for event, _ in self.backend.jobs[job] if isinstance(event, MeshReady)}

    def _running(self) -> list[str]:
        return [job for job in sorted(self.backend.jobs) if not self.backend.ended(job)]

    def _end(self, job: str, *, failed: bool) -> None:
        end: Any = Failed(job=job, code="c", message="M.") if failed else Finished(job=job, report=report())
        self.backend.happen(end)

    def _collect(self) -> None:
        while self.backend.outbox:
            peer, frames = self.backend.outbox.popleft()
            if self.up and peer == self.peer:
                self.to_client.append(frames)

    def _flush(self) -> None:
        while self.session.outgoing:
            frames = self.session.outgoing.popleft()
            if self.session.state is not LinkState.CONNECTED:
                assert isinstance(decode_client(frames)[0], Hello)
            if self.up:
                self.to_backend.append(frames)
        while self.session.news:
            match self.session.news.popleft():
                case LinkChanged(state=state, error=error):
                    assert error is None
                    self.links.append(state)
                case Received(message=message):
                    assert isinstance(message, Event)
                    self.seen[message.job].append(message)


def _pairs(items: list[LinkState]) -> list[tuple[LinkState, LinkState]]:
    return list(pairwise(items))


TestWire = Wire.TestCase
TestWire.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
