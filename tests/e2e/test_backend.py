"""``kiss3d serve`` as a process, talked to over real sockets."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest
from tests.fakes import recipes
from tests.fakes.backend_process import MISBEHAVING, BackendProcess, collect
from tests.fakes.raw_client import raw_dealer

from kiss3d_backend.jobs.book import MOST_ATTEMPTS
from kiss3d_protocol.client import Client
from kiss3d_protocol.framing import MAGIC, decode_server, encode, pack_map
from kiss3d_protocol.messages import (
    Attach,
    Cancelled,
    Failed,
    Finished,
    Hello,
    JobList,
    MeshReady,
    Ping,
    Pong,
    Progress,
    Queued,
    Refused,
    StageStarted,
    WarningRaised,
    Welcome,
    new_job_id,
)
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.session import LinkChanged, LinkState, Received
from kiss3d_protocol.version import PROTOCOL_VERSION


@pytest.fixture
def backend(tmp_path: Path):
    with BackendProcess(tmp_path / "data", recipes=MISBEHAVING) as process:
        yield process
    assert process.stop() == 0
    assert process.errors == ""


@pytest.fixture
def client(backend: BackendProcess):
    with Client(backend.address, "test/1") as client:
        client.connected(60)
        yield client


def worker_of(backend: BackendProcess) -> psutil.Process:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = psutil.Process(backend.process.pid).children()
        if children:
            return children[0]
        time.sleep(0.01)
    raise AssertionError("there is no worker")


def until(client: Client, kind: type | tuple[type, ...], job: str):
    while True:
        news = client.wait(60)
        assert news is not None
        if isinstance(news, Received) and isinstance(news.message, kind) and news.message.job == job:
            return news.message


def test_welcome_says_what_is_offered(backend: BackendProcess):
    with Client(backend.address, "test/1") as client:
        welcome = client.connected(60)
    offers = {offer.name: offer for offer in welcome.presets}
    assert offers["draft"].offered
    assert not offers["quality"].offered
    assert offers["quality"].reason
    assert welcome.device.ram_total > 0
    assert welcome.protocol == PROTOCOL_VERSION


def test_a_job_from_submit_to_finish(client: Client, make_submit):
    submit, blob = make_submit()
    client.submit(submit, [blob])
    events = collect(client, submit.job)
    numbered = [event for event in events if event.number]
    assert [event.number for event in numbered] == list(range(1, len(numbered) + 1))
    assert [type(event) for event in numbered] == [Queued, MeshReady, StageStarted, MeshReady, Finished]
    assert [event.quality for event in events if isinstance(event, MeshReady)] == ["coarse", "final"]
    report = numbered[-1].report
    assert (report.preset, report.picture_sha256) == ("draft", submit.picture.sha256)
    assert report.versions["kiss3d"]


def test_a_submit_that_is_repeated_is_one_job(client: Client, make_submit):
    submit, blob = make_submit()
    client.submit(submit, [blob])
    first = [event for event in collect(client, submit.job) if event.number]
    client.submit(submit, [blob])
    again = [event for event in collect(client, submit.job) if event.number]
    assert again == first


def test_jobs_wait_for_their_turn_and_waiting_ones_can_be_cancelled(client: Client, make_submit):
    submits = [make_submit(seed=recipes.SLOW), make_submit(), make_submit()]
    slow, cancelled, last = (submit.job for submit, _ in submits)
    client.submit(submits[0][0], [submits[0][1]])
    until(client, Progress, slow)
    for submit, blob in submits[1:]:
        client.submit(submit, [blob])
    assert until(client, Queued, last).position == 1
    client.cancel(cancelled)
    assert until(client, Cancelled, cancelled)
    client.cancel(slow)
    assert isinstance(collect(client, last)[-1], Finished)


def test_kill_9_of_the_worker(backend: BackendProcess, client: Client, make_submit):
    submit, blob = make_submit(seed=recipes.SLOW)
    client.submit(submit, [blob])
    until(client, Progress, submit.job)
    waiting, _ = make_submit()
    client.submit(waiting, [blob])
    events = []
    for _ in range(MOST_ATTEMPTS):
        killed = time.monotonic()
        worker_of(backend).kill()
        events.append(until(client, (WarningRaised, Failed), submit.job))
        assert time.monotonic() - killed < 5
        if not isinstance(events[-1], Failed):
            # Before the one that waits, and from the start of the step.
            events.append(until(client, StageStarted, submit.job))
            until(client, Progress, submit.job)
    assert [event.number for event in events] == [4, 6, 7, 9, 10]
    assert [event.code for event in events[::2]] == ["job.worker_died", "job.worker_died", "job.interrupted"]
    assert events[-1].remedy
    assert isinstance(collect(client, waiting.job)[-1], Finished)
    following, blob = make_submit()
    client.submit(following, [blob])
    assert isinstance(collect(client, following.job)[-1], Finished)


def test_kill_9_of_the_broker_loses_no_job(tmp_path: Path, make_submit):
    with BackendProcess(tmp_path / "data", recipes=MISBEHAVING) as first, Client(first.address, "test/1") as client:
        client.connected(60)
        running, blob = make_submit(seed=recipes.SLOW)
        waiting, _ = make_submit()
        client.submit(running, [blob])
        client.submit(waiting, [blob])
        until(client, Progress, running.job)
        worker = worker_of(first)
        first.kill()
        worker.wait(60)
        with BackendProcess(tmp_path / "data", recipes=MISBEHAVING, bind=first.address) as second:
            assert second.address == first.address
            # The client comes back by itself, and its job goes on from the next event number.
            again = until(client, StageStarted, running.job)
            assert again.number > 3
            client.cancel(running.job)
            end = collect(client, waiting.job)[-1]
            assert isinstance(end, Finished)


def test_another_client_attaches_from_an_event(client: Client, backend: BackendProcess, make_submit):
    submit, blob = make_submit()
    client.submit(submit, [blob])
    events = [event for event in collect(client, submit.job) if event.number]
    with Client(backend.address, "other/1") as other:
        other.connected(60)
        other.attach(submit.job, after=2)
        seen = []
        while not seen or not isinstance(seen[-1].message, Finished):
            news = other.wait(60)
            assert isinstance(news, Received)
            seen.append(news)
    assert [each.message for each in seen] == events[2:]
    (mesh,) = [each for each in seen if isinstance(each.message, MeshReady)]
    assert len(mesh.blobs[0]) == 4 * 3 * 4


def test_the_broker_survives_while_clients_come_and_go(client: Client, backend: BackendProcess, make_submit):
    submit, blob = make_submit(seed=recipes.SLOW)
    client.submit(submit, [blob])
    until(client, Progress, submit.job)
    with Client(backend.address, "other/1") as other:
        other.connected(60)
        other.list_jobs()
        news = other.wait(60)
        assert isinstance(news, Received)
        assert isinstance(news.message, JobList)
        (job,) = news.message.jobs
        assert (job.job, job.state, job.stage) == (submit.job, "running", "misbehave")
        other.cancel(submit.job)
    assert isinstance(collect(client, submit.job)[-1], Cancelled)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"preset": "draught"}, "params.preset_unknown"),
        ({"preset": "quality"}, "model.missing"),
    ],
)
def test_bad_settings_are_refused_at_once(client: Client, make_submit, change: dict[str, str], code: str):
    submit, blob = make_submit(**change)
    client.submit(submit, [blob])
    news = client.wait(60)
    assert isinstance(news, Received)
    assert isinstance(news.message, Refused)
    assert (news.message.code, news.message.job, news.message.about) == (code, submit.job, "submit")
    client.list_jobs()
    assert client.wait(60).message == JobList(())


def test_what_is_no_picture_is_refused_at_once(client: Client):
    from kiss3d_protocol.messages import Submit
    from kiss3d_protocol.payloads import BlobWriter

    writer = BlobWriter()
    image = writer.image(b"hello, I am a text", "image/png")
    client.submit(Submit(new_job_id(), "text.png", GenerateParams(), image), writer.blobs)
    assert client.wait(60).message.code == "picture.unreadable"


class TestStrangers:
    """Whatever comes in, the backend answers the next client."""

    @pytest.fixture
    def dealer(self, backend: BackendProcess):
        with raw_dealer(backend.address) as dealer:
            yield dealer

    def answer(self, dealer) -> Refused:
        message, _ = decode_server(dealer.recv_multipart())
        assert isinstance(message, Refused)
        return message

    def test_no_hello(self, dealer):
        for message in (Ping(), Attach(new_job_id())):
            dealer.send_multipart(encode(message))
            assert self.answer(dealer).code == "protocol.hello_required"

    def test_another_major_version(self, dealer):
        dealer.send_multipart([b"K3D7", encode(Hello("7.0", "future/7"))[1]])
        assert self.answer(dealer).code == "protocol.version"
        dealer.send_multipart(encode(Hello("7.0", "future/7")))
        assert self.answer(dealer).code == "protocol.version"

    @pytest.mark.parametrize(
        "frames",
        [
            [b""],
            [b"GET / HTTP/1.1"],
            [MAGIC, b"\xc1"],
            [MAGIC, b"\x81" * 100_000],
            [MAGIC, pack_map({"type": "hello"})],
            [MAGIC, pack_map({"type": "nonsense"})],
            [MAGIC, b"\x80", *([b"x"] * 200)],
        ],
        ids=["empty", "http", "bad msgpack", "nesting", "missing fields", "unknown", "many frames"],
    )
    def test_garbage(self, dealer, client: Client, frames: list[bytes]):
        dealer.send_multipart(frames)
        assert self.answer(dealer).code == "protocol.malformed"
        client.list_jobs()
        assert isinstance(client.wait(60).message, JobList)

    def test_a_submit_that_cannot_be_read_is_refused_by_name(self, dealer, make_submit):
        submit, _ = make_submit()
        dealer.send_multipart(encode(Hello("1.0", "test/1")))
        dealer.recv_multipart()
        dealer.send_multipart([MAGIC, pack_map({"type": "submit", "job": submit.job, "name": 5})])
        refused = self.answer(dealer)
        assert (refused.about, refused.job, refused.code) == ("submit", submit.job, "protocol.malformed")

    def test_many_hellos_get_few_welcomes(self, dealer):
        for _ in range(200):
            dealer.send_multipart(encode(Hello("1.0", "patient/1")))
        dealer.send_multipart(encode(Ping()))
        kinds = []
        while not kinds or kinds[-1] is not Pong:
            kinds.append(type(decode_server(dealer.recv_multipart())[0]))
        assert set(kinds) == {Welcome, Pong}
        assert kinds.count(Welcome) < 50

    def test_raw_bytes_at_the_port(self, backend: BackendProcess, client: Client):
        host, port = backend.address.removeprefix("tcp://").split(":")
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4096, os.urandom(4096)):
            with socket.create_connection((host, int(port)), 2) as raw, contextlib.suppress(OSError):
                raw.sendall(data)
        client.list_jobs()
        assert isinstance(client.wait(60).message, JobList)


def test_a_client_that_does_not_read_holds_nobody_up(backend: BackendProcess, client: Client, make_submit):
    with raw_dealer(backend.address, most_unread=1) as sleeper:
        sleeper.send_multipart(encode(Hello("1.0", "sleeper/1")))
        submit, blob = make_submit(seed=recipes.SLOW)
        client.submit(submit, [blob])
        until(client, Progress, submit.job)
        for _ in range(200):
            sleeper.send_multipart(encode(Attach(submit.job)))
        client.cancel(submit.job)
        assert isinstance(collect(client, submit.job)[-1], Cancelled)


class TestStarting:
    def test_an_address_in_use(self, backend: BackendProcess, tmp_path: Path):
        with BackendProcess(tmp_path / "other", bind=backend.address) as second:
            assert second.told["code"] == "backend.address_in_use"
        assert second.stop() == 73

    def test_beyond_loopback(self, tmp_path: Path):
        with BackendProcess(tmp_path / "other", bind="tcp://0.0.0.0:0") as second:
            assert second.told["code"] == "backend.bind_refused"
        assert second.stop() == 72

    def test_a_data_directory_that_cannot_be_made(self, tmp_path: Path):
        (tmp_path / "file").touch()
        with BackendProcess(tmp_path / "file" / "data") as second:
            assert second.told["code"] == "backend.data_directory"
        assert second.stop() == 74

    def test_two_backends_share_a_data_directory(self, backend: BackendProcess, tmp_path: Path, make_submit):
        submit, blob = make_submit(seed=recipes.SLOW)
        with Client(backend.address, "a/1") as first:
            first.connected(60)
            first.submit(submit, [blob])
            until(first, Progress, submit.job)
            with BackendProcess(tmp_path / "data", recipes=MISBEHAVING) as second, Client(second.address, "b/1") as b:
                b.connected(60)
                b.list_jobs()
                (job,) = b.wait(60).message.jobs
                assert job.state == "running"
            first.cancel(submit.job)
            assert isinstance(collect(first, submit.job)[-1], Cancelled)

    def test_sigterm_ends_it(self, tmp_path: Path):
        with BackendProcess(tmp_path / "data", recipes=MISBEHAVING) as process:
            worker = worker_of(process)
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(60) == 0
            worker.wait(60)

    def test_a_private_backend_cancels_what_is_left(self, tmp_path: Path, make_submit):
        submit, blob = make_submit(seed=recipes.SLOW)
        with (
            BackendProcess(tmp_path / "data", recipes=MISBEHAVING, private=True) as process,
            Client(process.address, "a/1") as client,
        ):
            client.connected(60)
            client.submit(submit, [blob])
            until(client, Progress, submit.job)
        from kiss3d_backend.commands.jobs import jobs_on_disk

        (job,) = jobs_on_disk(tmp_path / "data", 10)
        assert job.state == "cancelled"


def test_a_client_notices_a_backend_that_has_gone(tmp_path: Path):
    with BackendProcess(tmp_path / "data", recipes=MISBEHAVING) as process, Client(process.address, "a/1") as client:
        client.connected(60)
        process.kill()
        news = client.wait(10)
        assert isinstance(news, LinkChanged)
        assert news.state is LinkState.LOST
