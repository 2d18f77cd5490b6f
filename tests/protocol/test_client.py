"""The client's thread: news come in order, nothing blocks, and it ends when it is told to."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import zmq
from tests.protocol.model_backend import ModelBackend
from tests.protocol.router import Router
from tests.protocol.samples import INSTANCE, JOB, OTHER_JOB, mesh_ready, submit, welcome

from kiss3d_protocol.address import Address
from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import (
    AddressInvalid,
    BackendUnreachable,
    ConnectionFailed,
    KeyRefused,
    MessageMalformed,
    NotABackend,
    ProtocolVersionMismatch,
)
from kiss3d_protocol.framing import MAX_BLOB_TO_SERVER, decode_client, encode
from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.messages import (
    Attach,
    Cancel,
    Cancelled,
    Hello,
    JobList,
    ListJobs,
    MeshReady,
    Queued,
    ServerMessage,
    StageStarted,
    Submit,
)
from kiss3d_protocol.payloads import BlobWriter, MeshRef
from kiss3d_protocol.session import LinkChanged, LinkState, News, Received
from kiss3d_protocol.transport.memory import MemoryTransport
from kiss3d_protocol.transport.zeromq import ZERO_COPY_FROM, ZeroMQTransport
from kiss3d_protocol.version import PROTOCOL_VERSION

ADDRESS = "tcp://127.0.0.1:9"
PATIENCE = 60.0


def stage(number: int) -> StageStarted:
    return StageStarted(job=JOB, number=number, stage="a", title="A", index=0, count=1)


def no_diagnosis(address: Address) -> ConnectionFailed:
    raise AssertionError("nothing to look for")


@contextmanager
def client_on(transport: MemoryTransport, **options: Any) -> Iterator[Client]:
    options = {"diagnosis": no_diagnosis, "diagnose_after": 1000.0, **options}
    with Client(ADDRESS, "test/1", transport=lambda _: transport, **options) as client:
        yield client


def sent(transport: MemoryTransport) -> Any:
    return decode_client(transport.sent.get(timeout=PATIENCE))[0]


def news_of(client: Client) -> News:
    news = client.wait(PATIENCE)
    assert news is not None
    return news


# ---------------------------------------------------------------------------------------------- in memory


def test_news_come_in_the_order_in_which_things_happened() -> None:
    transport = MemoryTransport()
    with client_on(transport) as client:
        assert client.poll() is None
        assert sent(transport) == Hello(PROTOCOL_VERSION, "test/1")
        transport.deliver(encode(welcome()))
        assert client.connected(PATIENCE) == welcome()
        client.submit(*submit())
        assert sent(transport) == submit()[0]
        mesh, blobs = mesh_ready(number=3)
        transport.deliver(encode(Queued(job=JOB, number=1, position=0)))
        transport.deliver(encode(stage(2)))
        transport.deliver(encode(mesh, blobs))
        transport.deliver(encode(Cancelled(job=JOB, number=4)))
        came = [news_of(client) for _ in range(4)]
        assert all(isinstance(news, Received) for news in came)
        assert [news.message.number for news in came] == [1, 2, 3, 4]  # pyright: ignore
        assert isinstance(came[2], Received) and list(came[2].blobs) == blobs
        assert client.poll() is None


def test_everything_asked_reaches_the_backend_in_order() -> None:
    transport = MemoryTransport()
    with client_on(transport) as client:
        sent(transport)
        transport.deliver(encode(welcome(heartbeat=1000.0)))
        client.connected(PATIENCE)
        client.attach(OTHER_JOB, 4)
        client.cancel(OTHER_JOB)
        client.list_jobs(5)
        assert [sent(transport) for _ in range(3)] == [Attach(OTHER_JOB, 4), Cancel(OTHER_JOB), ListJobs(5)]
        transport.deliver(encode(JobList(())))
        assert news_of(client) == Received(JobList(()))


def test_close_ends_the_thread_and_what_was_asked_still_leaves() -> None:
    transport = MemoryTransport()
    before = threading.active_count()
    with client_on(transport) as client:
        sent(transport)
        transport.deliver(encode(welcome(heartbeat=1000.0)))
        client.connected(PATIENCE)
        client.cancel(JOB)
    assert transport.closed
    assert threading.active_count() == before
    assert sent(transport) == Cancel(JOB)
    # Both harmless.
    client.close()
    client.cancel(JOB)
    assert transport.sent.empty()
    assert client.poll() is None


class _Stuck(MemoryTransport):
    """Its send hangs until the test lets it go."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go_on = threading.Event(), threading.Event()

    def send(self, frames: Any) -> None:
        self.inside.set()
        self.go_on.wait(PATIENCE)
        super().send(frames)


def test_the_users_side_does_not_wait_for_the_thread() -> None:
    transport = _Stuck()
    with client_on(transport) as client:
        assert transport.inside.wait(PATIENCE)
        # The thread hangs: each of these would hang too, if it waited.
        assert client.poll() is None
        client.submit(*submit())
        client.cancel(JOB)
        client.list_jobs()
        assert client.wait(0.0) is None
        assert transport.sent.empty()
        transport.go_on.set()
        assert sent(transport) == Hello(PROTOCOL_VERSION, "test/1")


def test_what_cannot_be_sent_is_told_at_once_and_harms_nobody() -> None:
    transport = MemoryTransport()
    with client_on(transport) as client:
        sent(transport)
        transport.deliver(encode(welcome(heartbeat=1000.0)))
        client.connected(PATIENCE)
        good, blobs = submit()
        with pytest.raises(MessageMalformed):
            client.submit(Submit(JOB, "caf\udce9.png", good.params, good.picture), blobs)
        bad: list[Callable[[], None]] = [
            lambda: client.attach(JOB, -1),
            lambda: client.attach("no id"),
            lambda: client.cancel("no id"),
            lambda: client.list_jobs(0),
        ]
        for call in bad:
            with pytest.raises(ValueError, match=r"after|job|limit"):
                call()
        client.submit(good, blobs)
        assert sent(transport) == good


def test_a_picture_that_is_too_large_is_told_at_once() -> None:
    transport = MemoryTransport()
    with client_on(transport) as client, pytest.raises(Exception, match="over the limit") as caught:
        client.submit(*submit(picture=bytes(MAX_BLOB_TO_SERVER + 1)))
    assert caught.value.code == "protocol.too_large"  # pyright: ignore


def test_connected_raises_what_was_found_out() -> None:
    found = BackendUnreachable("Nothing listens there.")
    with (
        client_on(MemoryTransport(), diagnosis=lambda _: found, diagnose_after=0.0) as client,
        pytest.raises(BackendUnreachable) as caught,
    ):
        client.connected(PATIENCE)
    assert caught.value is found


def test_connected_looks_itself_when_the_time_is_up() -> None:
    looked: list[Address] = []

    def look(address: Address) -> ConnectionFailed:
        looked.append(address)
        return NotABackend("It is another program.")

    with client_on(MemoryTransport(), diagnosis=look) as client, pytest.raises(NotABackend):
        client.connected(0.01)
    assert looked == [Address("127.0.0.1", 9)]


def test_connected_raises_the_mismatch_of_versions() -> None:
    transport = MemoryTransport()
    transport.deliver([b"K3D2", b"something"])
    with client_on(transport) as client, pytest.raises(ProtocolVersionMismatch):
        client.connected(PATIENCE)


def test_a_diagnosis_is_told_again_only_when_it_changes() -> None:
    reasons = iter(["Nothing listens.", "Nothing listens.", "It is a web server."])
    enough = threading.Event()

    def look(address: Address) -> ConnectionFailed:
        reason = next(reasons, None)
        if reason is None:
            enough.wait(PATIENCE)
            return NotABackend("The end.")
        return NotABackend(reason)

    transport = MemoryTransport()
    with client_on(transport, diagnosis=look, diagnose_after=0.0) as client:
        told: list[str] = []
        while len(told) < 2:
            # The thread looks after each message; a tick of the wire instead of half a second.
            transport.wake()
            news = client.wait(0.01)
            if isinstance(news, LinkChanged):
                assert news.state is LinkState.CONNECTING and news.error is not None
                told.append(news.error.message)
        assert told == ["Nothing listens.", "It is a web server."]
        enough.set()


def test_a_wrong_address_is_told_before_anything_starts() -> None:
    before = threading.active_count()
    with pytest.raises(AddressInvalid):
        Client("nowhere", "test/1")
    with pytest.raises(AddressInvalid):
        # Not from parse_address: ZeroMQ itself says no.
        ZeroMQTransport(Address("_", 5), backend_keys().of_owner)
    assert threading.active_count() == before


# ---------------------------------------------------------------------------------------------- over ZeroMQ


def until(client: Client, wanted: Callable[[News], bool]) -> News:
    """The first piece of news that is wanted; those before it are dropped."""
    while True:
        news = news_of(client)
        if wanted(news):
            return news


def link(state: LinkState) -> Callable[[News], bool]:
    return lambda news: isinstance(news, LinkChanged) and news.state is state


def message_of(client: Client) -> ServerMessage:
    news = until(client, lambda news: isinstance(news, Received))
    assert isinstance(news, Received)
    return news.message


def big_mesh() -> tuple[MeshReady, list[Any]]:
    rows = ZERO_COPY_FROM // 12 + 1
    writer = BlobWriter()
    mesh = MeshRef(
        positions=writer.array(struct.pack(f"<{3 * rows}f", *range(3 * rows)), "<f4", (rows, 3)),
        triangles=writer.array(struct.pack("<3I", 0, 1, 2), "<u4", (1, 3)),
    )
    return MeshReady(job=JOB, quality="final", mesh=mesh), writer.blobs


def test_a_job_over_zeromq_with_large_blobs_as_views() -> None:
    mesh, blobs = big_mesh()
    with Router() as router, Client(router.address, "test/1", diagnosis=no_diagnosis) as client:
        assert client.connected(PATIENCE).instance == router.backend.instance
        assert client.poll() is None
        client.submit(*submit())
        assert isinstance(message_of(client), Queued)
        router.do(lambda: router.backend.happen(mesh, blobs))
        news = news_of(client)
        assert isinstance(news, Received)
        assert isinstance(news.message, MeshReady)
        assert [type(blob) for blob in news.blobs] == [memoryview, bytes]
        assert [bytes(blob) for blob in news.blobs] == blobs
        client.cancel(JOB)
        assert isinstance(message_of(client), Cancelled)


def test_a_backend_that_goes_and_comes_back_at_its_address() -> None:
    backend = ModelBackend(heartbeat=0.1)
    with Router(backend) as first, Client(first.address, "test/1", diagnosis=no_diagnosis) as client:
        client.connected(PATIENCE)
        client.submit(*submit())
        assert isinstance(message_of(client), Queued)
        first.close()
        until(client, link(LinkState.LOST))
        # Meanwhile: asked for without a backend, and done without a client.
        client.list_jobs(3)
        backend.happen(stage(0))
        backend.restart()
        with Router(backend, first.port) as second:
            connected = until(client, link(LinkState.CONNECTED))
            assert isinstance(connected, LinkChanged) and connected.welcome is not None
            assert connected.welcome.instance == backend.instance != INSTANCE
            came = [message_of(client), message_of(client)]
            assert sorted(type(message).__name__ for message in came) == ["JobList", "StageStarted"]
            second.do(lambda: backend.happen(Cancelled(job=JOB)))
            assert isinstance(message_of(client), Cancelled)


def test_a_backend_that_starts_after_its_client() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with Client(f"127.0.0.1:{port}", "test/1", diagnose_after=0.0) as client:
        news = news_of(client)
        assert isinstance(news, LinkChanged) and isinstance(news.error, BackendUnreachable)
        client.submit(*submit())
        with Router(port=port):
            until(client, link(LinkState.CONNECTED))
            assert isinstance(message_of(client), Queued)


def test_a_client_of_a_program_that_does_not_answer_is_told_so() -> None:
    with (
        Router(mute=True) as router,
        Client(router.address, "test/1", diagnose_after=0.0) as client,
        pytest.raises(KeyRefused, match="does not take up"),
    ):
        client.connected(PATIENCE)


def test_over_ipv6() -> None:
    try:
        router = Router(host="[::1]")
    except zmq.ZMQError:
        pytest.skip("this machine has no IPv6")
    with router, Client(f"[::1]:{router.port}", "test/1", diagnosis=no_diagnosis) as client:
        assert client.connected(PATIENCE).instance == router.backend.instance
