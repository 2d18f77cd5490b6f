"""What a slow client gets: everything that counts, and only the newest of what passes."""

from __future__ import annotations

import pytest
from attrs import define

from kiss3d_backend.broker.in_flight import MOST_BYTES, InFlight
from kiss3d_backend.broker.outbox import MOST_FETCHES, Letter, Outbox
from kiss3d_backend.broker.sessions import MOST_CONNECTIONS_OF_ONE, Session, Sessions
from kiss3d_backend.clients.identity import ClientIdentity
from kiss3d_protocol.errors import TooManyRequests
from kiss3d_protocol.fetching import Fetch
from kiss3d_protocol.messages import Cancelled, Progress, Queued, StageStarted, new_job_id
from kiss3d_protocol.models import PullCancelled, PullFinished, PullProgress

JOB, OTHER = new_job_id(), new_job_id()


def opened(sessions: Sessions, identity: bytes, client: str, now: float) -> Session:
    return sessions.open(identity, client, now, key=client, owner=ClientIdentity(client, client))


def progress(step: int, job: str = JOB) -> Letter:
    return Letter(Progress(job=job, stage="s", step=step, steps=100, fraction=step / 100))


def started(number: int) -> Letter:
    return Letter(StageStarted(job=JOB, number=number, stage="s", title="S", index=0, count=1))


def contents(outbox: Outbox) -> list[object]:
    found = []
    while (letter := outbox.peek()) is not None:
        found.append(letter.content)
        outbox.drop()
    return found


def test_progress_is_coalesced_for_each_job():
    outbox = Outbox()
    letters = [progress(1), progress(1, OTHER), progress(2), progress(3), progress(2, OTHER)]
    for letter in letters:
        outbox.put(letter)
    assert contents(outbox) == [progress(3).content, progress(2, OTHER).content]


def test_progress_never_overtakes_an_event():
    outbox = Outbox()
    letters = [progress(1), started(2), progress(2), progress(3)]
    for letter in letters:
        outbox.put(letter)
    assert contents(outbox) == [started(2).content, progress(3).content]


def test_progress_of_a_pull_is_coalesced_and_its_end_is_not():
    outbox = Outbox()
    steps = [PullProgress("download", "one", "a.bin", done, 10, 1.0) for done in (1, 2, 3)]
    for message in (steps[0], steps[1], PullFinished(("one",)), steps[2], PullCancelled()):
        outbox.put(Letter(message))
    assert contents(outbox) == [PullFinished(("one",)), steps[2], PullCancelled()]


def test_events_are_never_dropped():
    outbox = Outbox()
    events = [Letter(Queued(job=JOB, number=1, position=0))]
    events += [started(number) for number in range(2, 500)]
    events += [Letter(Cancelled(job=JOB, number=500))]
    for event in events:
        outbox.put(event)
        outbox.put(progress(1))
    assert len(outbox) == 501
    numbers = [message.number for message in contents(outbox) if message.number]
    assert numbers == list(range(1, 501))


@pytest.mark.parametrize("limits", [{"most_letters": 10}, {"most_bytes": 10 * len(started(1).envelope)}])
def test_a_client_that_does_not_read_is_forgotten(limits: dict[str, int]):
    sessions = Sessions()
    session = opened(sessions, b"id", "slow", now=0.0)
    session.outbox = Outbox(**limits)
    session.follows.add(JOB)
    for number in range(1, 10):
        sessions.publish(JOB, started(number))
        sessions.publish(JOB, started(number))
        session.outbox.drop()
    assert sessions.expire(now=1.0) == []
    sessions.publish(JOB, started(10))
    assert sessions.expire(now=1.0) == [session]
    assert sessions.get(b"id", now=1.0) is None


def test_a_silent_client_is_forgotten():
    sessions = Sessions(heartbeat_seconds=1.0)
    session = opened(sessions, b"id", "silent", now=0.0)
    assert sessions.expire(now=9.0) == []
    sessions.get(b"id", now=9.0)
    assert sessions.expire(now=18.0) == []
    assert sessions.expire(now=20.0) == [session]


def test_only_followers_get_a_letter():
    sessions = Sessions()
    follower, other = opened(sessions, b"1", "a", 0.0), opened(sessions, b"2", "b", 0.0)
    follower.follows.add(JOB)
    sessions.publish(JOB, started(2))
    assert (len(follower.outbox), len(other.outbox)) == (1, 0)


def test_hello_again_keeps_what_is_followed():
    sessions = Sessions()
    opened(sessions, b"1", "a", 0.0).follows.add(JOB)
    assert opened(sessions, b"1", "a", 1.0).follows == {JOB}


def test_only_so_many_chunks_can_be_asked_for_at_once():
    outbox = Outbox()
    fetches = [Fetch(JOB, "0" * 64, offset, 1) for offset in range(MOST_FETCHES)]
    for fetch in fetches:
        outbox.put_fetch(fetch)
    with pytest.raises(TooManyRequests):
        outbox.put_fetch(fetches[0])
    outbox.forget_fetches()
    for fetch in fetches:
        outbox.put_fetch(fetch)
    for fetch in fetches:
        assert outbox.peek_fetch() == fetch
        outbox.drop_fetch()
    assert outbox.peek_fetch() is None


def test_a_client_has_so_many_connections_and_no_more():
    sessions = Sessions()
    for number in range(MOST_CONNECTIONS_OF_ONE):
        opened(sessions, b"%d" % number, "a", 0.0)
    with pytest.raises(TooManyRequests):
        opened(sessions, b"one more", "a", 0.0)
    assert opened(sessions, b"0", "a", 0.0) is not None
    assert opened(sessions, b"another's", "b", 0.0) is not None


@define
class Frame:
    done: bool = False


def test_no_big_frame_follows_until_the_client_has_read():
    in_flight = InFlight()
    frames = [Frame(), Frame()]
    in_flight.add(frames[0], MOST_BYTES - 1)
    assert not in_flight.full
    in_flight.add(frames[1], 1)
    assert in_flight.full
    frames[0].done = True
    assert not in_flight.full
