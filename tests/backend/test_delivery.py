"""What leaves when: letters first, chunks in turn, and no more than a client reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
import zmq
from tests.backend.test_outbox import opened, started
from tests.fakes.finished_jobs import finished_job, noise_mesh

from kiss3d_backend.broker.delivery import INLINE_MOST, RETRY_SECONDS, Delivery
from kiss3d_backend.broker.in_flight import MOST_BYTES
from kiss3d_backend.broker.results import Results
from kiss3d_backend.broker.sessions import Session, Sessions
from kiss3d_backend.clients.identity import OWNER
from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.book import JobBook
from kiss3d_backend.jobs.store import JobStore
from kiss3d_protocol.fetching import MAX_CHUNK, Chunk, Fetch, JobResult
from kiss3d_protocol.framing import decode_server
from kiss3d_protocol.messages import StageStarted
from kiss3d_protocol.payloads import Blob


@attrs.define
class Frame:
    done: bool = False


class FakeGate:
    """Takes everything; ``blocked``: whose pipes are full."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Any, list[Blob]]] = []
        self.frames: list[Frame] = []
        self.blocked: set[bytes] = set()
        self.gone: set[bytes] = set()

    def send(self, connection: bytes, frames: Sequence[Blob]) -> list[tuple[Frame, int]]:
        if connection in self.blocked:
            raise zmq.Again
        if connection in self.gone:
            raise zmq.ZMQError(zmq.EHOSTUNREACH)
        self.sent.append((connection, *decode_server(frames)))
        big = [frame for frame in frames if memoryview(frame).nbytes >= INLINE_MOST]
        tracked = [(Frame(), memoryview(frame).nbytes) for frame in big]
        self.frames += [frame for frame, _ in tracked]
        return tracked


class Rig:
    def __init__(self, data_dir: DataDir) -> None:
        self.mesh, self.blobs = noise_mesh(16 << 20)
        self.job = finished_job(data_dir, (self.mesh, self.blobs))
        self.store = JobStore(data_dir.database)
        self.gate, self.sessions = FakeGate(), Sessions()
        artifacts = Artifacts(data_dir.artifacts)
        self.results = Results(JobBook(self.store, artifacts, "a"))
        self.delivery = Delivery(self.gate, self.sessions, self.results, artifacts)  # pyright: ignore

    def client(self, identity: bytes) -> Session:
        session = opened(self.sessions, identity, "local", 0.0)
        session.owner = OWNER
        return session

    def ask(self, session: Session, offset: int, length: int = MAX_CHUNK) -> None:
        self.results.ask_chunk(session, Fetch(self.job, self.mesh.positions.sha256, offset, length))

    def kinds(self) -> list[tuple[bytes, type]]:
        return [(connection, type(message)) for connection, message, _ in self.gate.sent]


@pytest.fixture
def rig(data_dir: DataDir):
    rig = Rig(data_dir)
    yield rig
    rig.store.close()


def test_letters_go_before_chunks_and_each_client_gets_one_chunk_at_a_time(rig: Rig) -> None:
    one, two = rig.client(b"1"), rig.client(b"2")
    for offset in range(2):
        rig.ask(one, offset)
    rig.ask(two, 0)
    for number in (1, 2):
        one.outbox.put(started(number))
    assert rig.delivery.send_all() == 0.0
    assert rig.kinds() == [(b"1", StageStarted), (b"1", StageStarted), (b"1", Chunk), (b"2", Chunk)]
    assert rig.delivery.send_all() is None
    assert rig.kinds()[4:] == [(b"1", Chunk)]
    assert [blobs for _, message, blobs in rig.gate.sent if isinstance(message, Chunk)] == [
        [rig.blobs[0][at : at + MAX_CHUNK]] for at in (0, 0, 1)
    ]


def test_nothing_big_is_held_for_a_client_that_does_not_read(rig: Rig) -> None:
    session = rig.client(b"1")
    for offset in range(8):
        rig.ask(session, offset)
    for _ in range(20):
        pause = rig.delivery.send_all()
    assert pause == RETRY_SECONDS
    assert len(rig.gate.sent) == MOST_BYTES // MAX_CHUNK
    rig.gate.frames[0].done = True
    rig.delivery.send_all()
    rig.delivery.send_all()
    assert len(rig.gate.sent) == MOST_BYTES // MAX_CHUNK + 1


def test_a_client_that_does_not_read_waits_and_one_that_has_gone_is_forgotten(rig: Rig) -> None:
    slow, gone, other = rig.client(b"1"), rig.client(b"2"), rig.client(b"3")
    for session in (slow, gone, other):
        session.outbox.put(started(1))
    rig.gate.blocked, rig.gate.gone = {b"1"}, {b"2"}
    assert rig.delivery.send_all() == RETRY_SECONDS
    assert rig.kinds() == [(b"3", StageStarted)]
    assert [session.identity for session in rig.sessions] == [b"1", b"3"]
    rig.gate.blocked.clear()
    assert rig.delivery.send_all() is None
    assert rig.kinds() == [(b"3", StageStarted), (b"1", StageStarted)]


def test_a_big_result_is_described_and_a_small_one_is_sent(rig: Rig, data_dir: DataDir) -> None:
    session = rig.client(b"1")
    small, blobs = noise_mesh(1000)
    job = finished_job(data_dir, (small, blobs))
    rig.results.send_meshes(session, rig.job)
    rig.results.send_meshes(session, job)
    rig.delivery.send_all()
    (_, big, nothing), (_, whole, everything) = rig.gate.sent
    assert isinstance(big, JobResult) and isinstance(whole, JobResult)
    assert (big.mesh, nothing) == (rig.mesh, [b"", b""])
    assert (whole.mesh, everything) == (small, blobs)
