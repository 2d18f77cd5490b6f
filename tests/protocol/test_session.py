"""The client's half of a connection, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.protocol.samples import (
    INSTANCE,
    JOB,
    OTHER_INSTANCE,
    OTHER_JOB,
    mesh_ready,
    preview,
    server_samples,
    submit,
    welcome,
)

from kiss3d_protocol.errors import MessageMalformed, ProtocolVersionMismatch, TooManyRequests
from kiss3d_protocol.framing import decode_client, encode
from kiss3d_protocol.messages import (
    TAGS,
    Attach,
    Cancel,
    Cancelled,
    Hello,
    JobList,
    ListJobs,
    Ping,
    Pong,
    Progress,
    Queued,
    Refused,
    ServerMessage,
    StageStarted,
)
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.session import ClientSession, LinkChanged, LinkState, Received
from kiss3d_protocol.version import PROTOCOL_VERSION

HELLO = Hello(PROTOCOL_VERSION, "test/1")


class Rig:
    """A session and a clock."""

    def __init__(self, *, connected: bool = False) -> None:
        self.session = ClientSession("test/1")
        self.now = 50.0
        if connected:
            self.tick()
            self.hear(welcome())
            self.sent()
            self.news()

    def tick(self, seconds: float = 0.0) -> float:
        self.now += seconds
        return self.session.tick(self.now)

    def hear(self, message: ServerMessage, blobs: Sequence[Blob] = ()) -> None:
        self.session.receive(encode(message, blobs), self.now)

    def sent(self) -> list[Any]:
        messages = [decode_client(frames)[0] for frames in self.session.outgoing]
        self.session.outgoing.clear()
        return messages

    def news(self) -> list[Any]:
        """Messages as they came; changes of the link as their state."""
        found = [each.message if isinstance(each, Received) else each.state for each in self.session.news]
        self.session.news.clear()
        return found


def stage(number: int, job: str = JOB) -> StageStarted:
    return StageStarted(job=job, number=number, stage="a", title="A", index=0, count=1)


def progress(job: str = JOB) -> Progress:
    return Progress(job=job, stage="a", step=1, steps=2, fraction=0.5)


# ---------------------------------------------------------------------------------------------- hello


def test_hello_is_repeated_every_second_until_the_welcome() -> None:
    rig = Rig()
    assert rig.tick() == pytest.approx(1.0)
    assert rig.sent() == [HELLO]
    assert rig.tick(0.6) == pytest.approx(0.4)
    assert rig.sent() == []
    for _ in range(3):
        rig.tick(1.0)
        assert rig.sent() == [HELLO]
    rig.hear(welcome())
    assert rig.session.news[0] == LinkChanged(LinkState.CONNECTED, welcome())
    assert rig.news() == [LinkState.CONNECTED]
    rig.tick(1.0)
    assert rig.sent() == []


def test_a_second_welcome_of_the_same_backend_says_nothing_new() -> None:
    rig = Rig(connected=True)
    rig.session.submit(*submit())
    rig.sent()
    # The answer to a repeated hello: other figures, no other backend.
    rig.hear(welcome(ram_free=99))
    assert (rig.sent(), rig.news()) == ([], [])


def test_a_welcome_of_another_backend_starts_anew() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 2)
    rig.sent()
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.news() == [LinkState.CONNECTED]
    assert rig.sent() == [Attach(JOB, 2)]


def test_what_is_asked_before_the_welcome_is_kept_and_sent_once() -> None:
    rig = Rig()
    rig.session.cancel(OTHER_JOB)
    rig.session.list_jobs(7)
    rig.session.list_jobs(7)
    rig.session.submit(*submit())
    rig.session.cancel(JOB)
    rig.tick()
    assert rig.sent() == [HELLO]
    rig.hear(welcome())
    assert rig.sent() == [submit()[0], Cancel(JOB), Cancel(OTHER_JOB), ListJobs(7)]
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == [submit()[0], Cancel(JOB)]


STRANGE: list[list[bytes]] = [
    [],
    [b""],
    [b"HTTP/1.0 400 Bad Request"],
    [b"K3D1", b"\xc1"],
    [b"K3D1", b"\x80"],
    [bytes(frame) for frame in encode(HELLO)],
    [b"\x00"] * 40,
]


@pytest.mark.parametrize("frames", STRANGE)
def test_strangers_are_ignored_before_the_welcome(frames: list[bytes]) -> None:
    rig = Rig()
    rig.session.submit(*submit())
    rig.tick()
    rig.sent()
    rig.session.receive(frames, rig.now)
    assert (rig.sent(), rig.news(), rig.session.state) == ([], [], LinkState.CONNECTING)
    rig.hear(welcome())
    assert rig.news() == [LinkState.CONNECTED]


@pytest.mark.parametrize(
    "sample",
    [each for each in server_samples() if TAGS[type(each[0])] not in ("welcome", "refused")],
    ids=lambda sample: TAGS[type(sample[0])],
)
def test_nothing_but_a_welcome_or_a_refusal_counts_before_the_welcome(sample: Any) -> None:
    rig = Rig()
    rig.session.attach(JOB, 0)
    rig.tick()
    rig.sent()
    rig.hear(*sample)
    assert (rig.sent(), rig.news(), rig.session.state) == ([], [], LinkState.CONNECTING)


def test_nonsense_of_a_connected_backend_is_told_and_survived() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 0)
    rig.sent()
    rig.session.receive([b"K3D1", b"\xc1"], rig.now)
    (news,) = rig.session.news
    assert isinstance(news, LinkChanged)
    assert (news.state, type(news.error)) == (LinkState.CONNECTED, MessageMalformed)
    rig.news()
    rig.hear(stage(1))
    assert rig.news() == [stage(1)]


def test_an_event_that_cannot_be_read_is_not_asked_for_for_ever() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 0)
    rig.sent()
    for _ in range(5):
        # Event 1 comes broken each time.
        rig.session.receive([b"K3D1", b"\xc1"], rig.now)
        rig.hear(stage(2))
    assert rig.sent() == [Attach(JOB, 0)]


# ---------------------------------------------------------------------------------------------- submit


def test_a_submit_is_sent_again_after_every_loss_until_it_is_answered() -> None:
    rig = Rig(connected=True)
    request, blobs = submit()
    rig.session.submit(request, blobs)
    assert list(rig.session.outgoing) == [encode(request, blobs)]
    rig.sent()
    for instance in (INSTANCE, OTHER_INSTANCE):
        rig.tick(100.0)
        assert rig.sent() == [HELLO]
        rig.hear(welcome(instance))
        assert list(rig.session.outgoing) == [encode(request, blobs)]
        rig.sent()
    rig.hear(Queued(job=JOB, number=1, position=0))
    rig.tick(100.0)
    rig.sent()
    rig.hear(welcome())
    assert rig.sent() == [Attach(JOB, 1)]


def test_a_refused_submit_is_forgotten() -> None:
    rig = Rig(connected=True)
    rig.session.submit(*submit())
    rig.session.submit(*submit(OTHER_JOB))
    rig.session.cancel(JOB)
    rig.sent()
    refused = Refused("submit", JOB, "job.queue_full", "It is full.")
    rig.hear(refused)
    assert rig.news() == [refused]
    rig.hear(stage(1))
    assert rig.news() == []
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == [submit(OTHER_JOB)[0]]


def test_a_refused_cancel_forgets_nothing() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 0)
    rig.sent()
    refused = Refused("cancel", JOB, "job.unknown", "There is none.")
    rig.hear(refused)
    rig.hear(stage(1))
    assert rig.news() == [refused, stage(1)]


def test_a_refused_attach_is_forgotten() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 3)
    assert rig.sent() == [Attach(JOB, 3)]
    rig.hear(Refused("attach", JOB, "job.unknown", "There is none."))
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == []


# ---------------------------------------------------------------------------------------------- events


def test_events_come_once_and_in_order_with_their_blobs() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 2)
    rig.sent()
    for number in (1, 2, 3, 3, 2):
        rig.hear(*preview(number=number))
    rig.hear(*mesh_ready(number=4))
    assert [list(news.blobs) for news in rig.session.news if isinstance(news, Received)] == [
        preview()[1],
        mesh_ready()[1],
    ]
    assert [event.number for event in rig.news()] == [3, 4]
    assert rig.sent() == []


def test_a_gap_is_asked_for_once() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 0)
    rig.sent()
    rig.hear(stage(1))
    for number in (3, 4, 5):
        rig.hear(stage(number))
    assert rig.sent() == [Attach(JOB, 1)]
    assert rig.news() == [stage(1)]
    for number in (2, 3, 4, 5, 6):
        rig.hear(stage(number))
    assert rig.news() == [stage(number) for number in (2, 3, 4, 5, 6)]
    rig.hear(stage(8))
    assert rig.sent() == [Attach(JOB, 6)]
    # A new connection attaches anyway, and may ask again.
    rig.hear(welcome(OTHER_INSTANCE))
    rig.hear(stage(8))
    assert rig.sent() == [Attach(JOB, 6), Attach(JOB, 6)]


def test_passing_events_pass() -> None:
    rig = Rig(connected=True)
    rig.session.submit(*submit())
    rig.sent()
    passing = [Queued(job=JOB, position=3), progress(), progress()]
    for event in passing:
        rig.hear(event)
    assert rig.news() == passing
    # Passing events answer a submit, but do not count.
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == [Attach(JOB, 0)]


def test_events_of_jobs_that_nobody_follows_are_dropped() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 0)
    rig.sent()
    rig.hear(stage(1, OTHER_JOB))
    rig.hear(progress(OTHER_JOB))
    rig.hear(stage(5, OTHER_JOB))
    assert (rig.sent(), rig.news()) == ([], [])


def test_after_its_end_a_job_is_over() -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 0)
    rig.session.cancel(JOB)
    assert rig.sent() == [Attach(JOB, 0), Cancel(JOB)]
    end = Cancelled(job=JOB, number=1)
    for event in (end, end, stage(2), progress()):
        rig.hear(event)
    assert rig.news() == [end]
    rig.hear(welcome(OTHER_INSTANCE))
    assert rig.sent() == []


def test_a_cancel_is_said_again_after_a_loss() -> None:
    rig = Rig(connected=True)
    rig.session.submit(*submit())
    rig.hear(stage(1))
    rig.session.cancel(JOB)
    rig.sent()
    rig.tick(100.0)
    rig.sent()
    rig.hear(welcome())
    assert rig.sent() == [Attach(JOB, 1), Cancel(JOB)]


def test_a_job_list_is_handed_on() -> None:
    rig = Rig(connected=True)
    rig.session.list_jobs(3)
    assert rig.sent() == [ListJobs(3)]
    rig.hear(JobList(()))
    assert rig.news() == [JobList(())]


# ---------------------------------------------------------------------------------------------- loss


def test_a_ping_goes_out_every_heartbeat_and_an_answer_keeps_the_connection() -> None:
    rig = Rig(connected=True)
    pings = 0
    for _ in range(100):
        assert 0 < rig.tick(0.5) <= 2.0
        for message in rig.sent():
            assert message == Ping()
            pings += 1
            rig.hear(Pong(INSTANCE))
    assert pings == 25
    assert rig.news() == []


@pytest.mark.parametrize("instance", [INSTANCE, OTHER_INSTANCE])
def test_silence_is_a_loss_and_the_next_welcome_attaches_again(instance: str) -> None:
    rig = Rig(connected=True)
    rig.session.attach(JOB, 0)
    rig.hear(stage(1))
    rig.sent()
    rig.news()
    rig.tick(6.0)
    assert rig.news() == []
    rig.sent()
    rig.tick(0.1)
    assert rig.news() == [LinkState.LOST]
    assert rig.sent() == [HELLO]
    rig.tick(1.0)
    assert rig.sent() == [HELLO]
    # What is still on its way is dropped: the attach brings it again.
    rig.hear(stage(2))
    rig.hear(stage(9))
    rig.session.cancel(OTHER_JOB)
    assert (rig.sent(), rig.news()) == ([], [])
    rig.hear(welcome(instance))
    assert rig.news() == [LinkState.CONNECTED]
    assert rig.sent() == [Attach(JOB, 1), Cancel(OTHER_JOB)]


def test_the_heartbeat_is_the_one_of_the_welcome() -> None:
    rig = Rig()
    rig.tick()
    rig.hear(welcome(heartbeat=0.1))
    rig.news()
    rig.tick(0.31)
    assert rig.news() == [LinkState.LOST]


def test_hello_required_is_a_loss() -> None:
    rig = Rig(connected=True)
    rig.session.submit(*submit())
    rig.sent()
    refused = Refused("submit", JOB, "protocol.hello_required", "Who are you?")
    rig.hear(refused)
    rig.hear(refused)
    assert rig.news() == [LinkState.LOST]
    assert rig.tick() > 0
    assert rig.sent() == [HELLO]
    rig.hear(welcome())
    assert rig.sent() == [submit()[0]]


def test_a_refused_hello_is_told_once_and_repeated() -> None:
    rig = Rig()
    refused = Refused("hello", None, "protocol.too_many", "There are 64 connections already.")
    for _ in range(3):
        rig.tick(1.0)
        rig.hear(refused)
    assert rig.sent() == [HELLO] * 3
    (news,) = rig.session.news
    assert isinstance(news, LinkChanged) and isinstance(news.error, TooManyRequests)
    rig.hear(welcome())
    assert rig.session.state is LinkState.CONNECTED


def test_the_end_of_the_transports_connection_is_a_loss_at_once() -> None:
    rig = Rig(connected=True)
    rig.session.interrupted(rig.now)
    rig.session.interrupted(rig.now)
    assert rig.news() == [LinkState.LOST]
    rig.tick()
    assert rig.sent() == [HELLO]


def test_a_pong_of_another_backend_is_a_loss() -> None:
    rig = Rig(connected=True)
    rig.hear(Pong(OTHER_INSTANCE))
    assert rig.news() == [LinkState.LOST]
    rig.tick()
    assert rig.sent() == [HELLO]


# ---------------------------------------------------------------------------------------------- versions

MISMATCHES = {
    "frame 0": [b"K3D2", b"whatever"],
    "welcome": [bytes(frame) for frame in encode(welcome(protocol="2.0"))],
    "a welcome without a version": [bytes(frame) for frame in encode(welcome(protocol="new"))],
    "refused": [bytes(frame) for frame in encode(Refused("hello", None, "protocol.version", "No.", "Update."))],
}


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("frames", MISMATCHES.values(), ids=MISMATCHES.keys())
def test_another_major_version_is_the_end(frames: list[bytes], connected: bool) -> None:
    rig = Rig(connected=connected)
    rig.session.submit(*submit())
    rig.tick()
    rig.sent()
    rig.session.receive(frames, rig.now)
    (news,) = rig.session.news
    assert isinstance(news, LinkChanged)
    assert (news.state, type(news.error)) == (LinkState.FAILED, ProtocolVersionMismatch)
    rig.news()
    rig.hear(welcome())
    rig.hear(stage(1))
    rig.session.cancel(JOB)
    rig.session.submit(*submit(OTHER_JOB))
    rig.session.list_jobs(1)
    rig.tick(1000.0)
    assert (rig.sent(), rig.news(), rig.session.state) == ([], [], LinkState.FAILED)


def test_a_later_minor_version_is_welcome() -> None:
    rig = Rig()
    rig.tick()
    rig.hear(welcome(protocol="1.7"))
    assert rig.news() == [LinkState.CONNECTED]
