"""Who gets in, and to whose jobs: strangers, pairings, owners, an eavesdropper, revocation and rotation."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from tests.fakes import recipes
from tests.fakes.backend_process import REPOSITORY, BackendProcess, collect
from tests.fakes.eavesdropper import Eavesdropper
from tests.fakes.raw_client import raw_dealer
from tests.fakes.served import Served, client_with, served

from kiss3d_backend.clients.registry import ClientRegistry
from kiss3d_backend.config import DataDir
from kiss3d_protocol.address import parse_address
from kiss3d_protocol.client import Client
from kiss3d_protocol.deletion import Deleted
from kiss3d_protocol.errors import JobUnknown, KeyRefused, NotABackend, PairingRefused
from kiss3d_protocol.framing import decode_server, encode
from kiss3d_protocol.key_files import backend_key_file, backend_keys, rotate_backend_keys
from kiss3d_protocol.messages import (
    Cancelled,
    Finished,
    Hello,
    JobList,
    JobSummary,
    ListJobs,
    Ping,
    Progress,
    Refused,
    ServerMessage,
    Welcome,
    new_job_id,
)
from kiss3d_protocol.pairing import Pair
from kiss3d_protocol.pairing_string import PairingString
from kiss3d_protocol.redeem import pair_with, redeem
from kiss3d_protocol.security import ConnectionKeys, new_key_pair
from kiss3d_protocol.servers import find_server
from kiss3d_protocol.session import LinkChanged, LinkState, Received
from kiss3d_protocol.version import PROTOCOL_VERSION

HELLO = encode(Hello(PROTOCOL_VERSION, "test/1"))
PROMPT = "a heron made of brass, in the reeds"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One backend for most tests; each makes clients of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
        with served(tmp_path_factory.mktemp("house") / "data") as house:
            yield house


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A client's name that no other test uses."""
    return request.node.originalname.replace("_", "-")[:60]


def answer_of(client: Client, wanted: type[ServerMessage]) -> Any:
    while True:
        news = client.wait(30)
        assert news is not None
        if isinstance(news, Received) and isinstance(news.message, wanted):
            return news.message


def jobs_of(client: Client) -> list[JobSummary]:
    client.list_jobs(1000)
    return list(answer_of(client, JobList).jobs)


@contextlib.contextmanager
def connected(address: str, keys: ConnectionKeys) -> Iterator[Client]:
    with client_with(address, keys) as client:
        client.connected(60)
        yield client


def null(dealer: zmq.Socket[bytes]) -> None:
    """No mechanism at all."""


def plain(dealer: zmq.Socket[bytes]) -> None:
    dealer.setsockopt(zmq.PLAIN_USERNAME, b"admin")
    dealer.setsockopt(zmq.PLAIN_PASSWORD, b"admin")


def with_keys(keys: ConnectionKeys) -> Callable[[zmq.Socket[bytes]], None]:
    def set_up(dealer: zmq.Socket[bytes]) -> None:
        dealer.curve_serverkey = keys.backend.encode()
        dealer.curve_publickey = keys.own.public.encode()
        dealer.curve_secretkey = keys.own.secret.encode()

    return set_up


def test_no_stranger_gets_a_byte_or_a_job_in(house: Served, make_submit: Any, caplog: pytest.LogCaptureFixture) -> None:
    backend = backend_keys().backend.public
    revoked = house.paired("stranger")
    house.registry.revoke("stranger")
    # The answer was given, so the pairing is used: its key is a stranger's now.
    used = house.pairing("used")
    redeem(used, "box", "test/1")
    strangers = {
        "NULL": null,
        "PLAIN": plain,
        "the backend's public key only": with_keys(ConnectionKeys(backend, new_key_pair())),
        "another backend's key": with_keys(ConnectionKeys(new_key_pair().public, backend_keys().owner)),
        "a revoked key": with_keys(revoked),
        "a used pairing string": with_keys(used.keys),
        "an expired pairing string": with_keys(house.pairing("expired", seconds=-1).keys),
        "the owner's name without the secret": with_keys(ConnectionKeys(backend, new_key_pair())),
    }
    submit, blob = make_submit()
    with contextlib.ExitStack() as stack, caplog.at_level(logging.WARNING):
        context = stack.enter_context(zmq.Context())
        dealers: dict[str, zmq.Socket[bytes]] = {}
        for who, set_up in strangers.items():
            dealer = dealers[who] = stack.enter_context(context.socket(zmq.DEALER))
            dealer.setsockopt(zmq.LINGER, 0)
            set_up(dealer)
            dealer.connect(house.address)
            for message in (HELLO, encode(submit, [blob]), encode(ListJobs())):
                # Who was turned away at once has nobody to send to.
                with contextlib.suppress(zmq.Again):
                    dealer.send_multipart(message, zmq.DONTWAIT)
        owner = stack.enter_context(connected(house.address, backend_keys().of_owner))
        deadline = time.monotonic() + 1.0
        while (left := deadline - time.monotonic()) > 0:
            answered = [who for who, dealer in dealers.items() if dealer.poll(left * 1000 / len(dealers))]
            assert answered == []
        assert submit.job not in [job.job for job in jobs_of(owner)]
    told = "\n".join(caplog.messages)
    assert "the revoked client stranger, from 127.0.0.1" in told
    assert "an unknown key" in told and "without this backend's keys" in told
    # The strangers tried again and again, and each was named once.
    assert len(caplog.messages) <= len(strangers) + 2
    assert blob.hex() not in told and backend_keys().owner.secret not in told


def test_clients_without_a_fitting_key_are_told_why(house: Served, name: str) -> None:
    backend = backend_keys().backend.public
    with client_with(house.address, ConnectionKeys(backend, new_key_pair())) as client:
        with pytest.raises(KeyRefused, match="does not know the key of this computer"):
            client.connected(60)
        # It goes on trying, and gets in as soon as it may.
        other = client_with(house.address, ConnectionKeys(new_key_pair().public, backend_keys().owner))
        with other, pytest.raises(KeyRefused, match="another key than the one"):
            other.connected(60)


class TestPairing:
    def test_it_lets_one_client_in_once(self, house: Served, name: str, make_submit: Any) -> None:
        pairing = house.pairing(name)
        server = redeem(pairing, "box", "test/1")
        assert server.client == name and server.keys.own.public != pairing.keys.own.public
        with connected(house.address, server.keys) as client:
            submit, blob = make_submit()
            client.submit(submit, [blob])
            assert isinstance(collect(client, submit.job)[-1], Finished)
        with pytest.raises(PairingRefused, match="does not accept"):
            redeem(pairing, "box", "test/1")
        with pytest.raises(PairingRefused):
            redeem(house.pairing(f"{name}-expired", seconds=0), "box", "test/1")
        guessed = PairingString(pairing.address, ConnectionKeys(pairing.keys.backend, new_key_pair()), name)
        with pytest.raises(PairingRefused):
            redeem(guessed, "box", "test/1")

    def test_its_key_is_good_for_nothing_else(self, house: Served, name: str, make_submit: Any) -> None:
        pairing = house.pairing(name)
        submit, blob = make_submit()
        with raw_dealer(house.address, pairing.keys) as dealer:
            for message in (HELLO, encode(submit, [blob]), encode(ListJobs()), encode(Ping()), [b"nonsense"]):
                dealer.send_multipart(message)
                answer, _ = decode_server(dealer.recv_multipart())
                assert isinstance(answer, Refused) and answer.code in ("pairing.refused", "protocol.malformed")
            owner = backend_keys().owner.public
            for taken in (owner, pairing.keys.own.public, "#" * 40):
                dealer.send_multipart(encode(Pair(PROTOCOL_VERSION, "test/1", taken)))
                answer, _ = decode_server(dealer.recv_multipart())
                assert isinstance(answer, Refused) and answer.code == "pairing.refused"
            own = new_key_pair()
            for expected in ("Paired", None):
                dealer.send_multipart(encode(Pair(PROTOCOL_VERSION, "test/1", own.public)))
                if expected:
                    assert type(decode_server(dealer.recv_multipart())[0]).__name__ == expected
            # Now it is a stranger, in the same connection.
            assert not dealer.poll(300)
        assert [record.name for record in house.registry.clients()].count(name) == 1

    def test_a_string_becomes_a_server_that_is_found_by_its_name(
        self, house: Served, name: str, config_dir: Path
    ) -> None:
        # This computer has no keys at all: it is another one than the backend's.
        pairing = house.pairing(name)
        server = pair_with(f"  {pairing.to_text()[:50]}\n {pairing.to_text()[50:]}\n", "test/1", "box")
        assert find_server("box") == server
        stored = next(config_dir.rglob("*box*"))
        assert stored.stat().st_mode & 0o777 == 0o600
        with Client("box", "test/1") as client:
            assert client.connected(60).protocol == PROTOCOL_VERSION
        with Client(house.address, "test/1") as client, pytest.raises(KeyRefused):
            # At a loopback address stands a backend of this user's own, says the key file, which was made just now.
            client.connected(60)


class TestOwnership:
    def test_a_foreign_job_is_like_one_that_does_not_exist(self, house: Served, name: str, make_submit: Any) -> None:
        anna, ben = house.paired(f"{name}-anna"), house.paired(f"{name}-ben")
        boss = house.paired(f"{name}-boss", admin=True)
        submit, blob = make_submit(seed=recipes.SLOW)
        with (
            connected(house.address, anna) as owner,
            connected(house.address, ben) as other,
            connected(house.address, boss) as admin,
        ):
            owner.submit(submit, [blob])
            answer_of(owner, Progress)
            assert jobs_of(other) == []
            words: list[Refused] = []
            for job in (submit.job, new_job_id()):
                for ask in (other.attach, other.cancel, other.delete, lambda job: other.choose(job, [0])):
                    ask(job)
                    refused = answer_of(other, Refused)
                    assert (refused.job, refused.code) == (job, JobUnknown.code)
                    words.append(refused)
            texts = [(each.about, each.message, each.remedy) for each in words]
            assert texts[:4] == texts[4:]
            # Neither can it be had by sending the same again, and nothing of it comes along.
            other.submit(submit, [blob])
            assert answer_of(other, Refused).code == "job.conflict"
            assert other.wait(0.3) is None
            assert [job.state for job in jobs_of(owner) if job.job == submit.job] == ["running"]
            assert submit.job in [job.job for job in jobs_of(admin)]
            admin.delete(submit.job)
            assert isinstance(collect(owner, submit.job)[-1], Cancelled)
            assert answer_of(owner, Deleted) == answer_of(admin, Deleted) == Deleted(submit.job)
            assert jobs_of(owner) == []
            owner.attach(submit.job)
            assert answer_of(owner, Refused).code == JobUnknown.code
            assert not (house.data_dir.reports / submit.job).exists()

    def test_messages_of_a_connection_with_a_name_of_its_own_are_dropped(self, house: Served, name: str) -> None:
        keys = house.paired(name)
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.setsockopt(zmq.LINGER, 0)
            dealer.setsockopt(zmq.ROUTING_ID, b"somebody")
            with_keys(keys)(dealer)
            dealer.connect(house.address)
            dealer.send_multipart(HELLO)
            assert not dealer.poll(500)
        with raw_dealer(house.address, keys) as dealer:
            dealer.send_multipart(HELLO)
            assert isinstance(decode_server(dealer.recv_multipart())[0], Welcome)


def test_an_eavesdropper_hears_neither_prompt_nor_picture_nor_key(house: Served, name: str, make_submit: Any) -> None:
    submit, blob = make_submit(prompt=PROMPT)
    secrets = {"prompt": PROMPT.encode(), "picture": blob[:16], "name": b"disc.png", "job": submit.job.encode()}
    with Eavesdropper(house.address) as ear:
        pairing = house.pairing(name)
        keys = redeem(PairingString(parse_address(ear.address), pairing.keys, name), "box", "test/1").keys
        with connected(ear.address, keys) as client:
            client.submit(submit, [blob])
            assert isinstance(collect(client, submit.job)[-1], Finished)
        for each in (keys.own, pairing.keys.own):
            secrets |= {f"secret {each.public}": each.secret.encode(), f"public {each.public}": each.public.encode()}
        heard = bytes(ear.heard)
    assert len(heard) > len(blob)
    assert [what for what, secret in secrets.items() if secret in heard] == []
    # The ear hears well: the same messages without keys.
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, context.socket(zmq.DEALER) as dealer:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        with Eavesdropper(f"tcp://127.0.0.1:{port}") as ear:
            dealer.connect(ear.address)
            dealer.send_multipart(encode(submit, [blob]))
            router.recv_multipart()
            assert all(secrets[what] in ear.heard for what in ("prompt", "picture", "name", "job"))
        router.close(linger=0)
        dealer.close(linger=0)


class TestRevocation:
    def test_a_connection_that_stands_is_served_no_more(self, house: Served, name: str, make_submit: Any) -> None:
        keys = house.paired(name)
        submit, blob = make_submit(seed=recipes.SLOW)
        with (
            raw_dealer(house.address, keys) as dealer,
            connected(house.address, backend_keys().of_owner) as owner,
        ):
            for message in (HELLO, encode(submit, [blob])):
                dealer.send_multipart(message)
            while not isinstance(decode_server(dealer.recv_multipart())[0], Progress):
                pass
            house.registry.revoke(name)
            time.sleep(0.3)
            while dealer.poll(0):
                dealer.recv_multipart()
            for message in (encode(Ping()), HELLO, encode(ListJobs())):
                dealer.send_multipart(message)
            assert not dealer.poll(500)
            # The job goes on, and who may still stop it can.
            owner.attach(submit.job)
            answer_of(owner, Progress)
            owner.cancel(submit.job)
            assert isinstance(collect(owner, submit.job)[-1], Cancelled)

    def test_its_client_is_told_when_it_comes_back(self, house: Served, name: str) -> None:
        keys = house.paired(name)
        with Eavesdropper(house.address) as cable, connected(cable.address, keys) as client:
            house.registry.revoke(name)
            cable.cut()
            for error in (type(None), KeyRefused):
                news = client.wait(30)
                assert isinstance(news, LinkChanged) and news.state is LinkState.LOST
                assert isinstance(news.error, error)
            # With a new key it is the same client again.
            renewed = house.paired(name, renew=True)
        with connected(house.address, renewed):
            pass
        assert [each.revoked for each in house.registry.clients() if each.name == name] == [None]


class TestRotation:
    def test_jobs_stay_with_their_clients_when_all_keys_change(
        self, tmp_path: Path, config_dir: Path, monkeypatch: pytest.MonkeyPatch, make_submit: Any
    ) -> None:
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
        submit, blob = make_submit()
        with served(tmp_path / "data") as before:
            annas = before.paired("anna")
            with connected(before.address, annas) as anna:
                anna.submit(submit, [blob])
                events = collect(anna, submit.job)
            old_owner = backend_keys().of_owner
        new_owner = rotate_backend_keys().of_owner
        assert (new_owner.backend, new_owner.own.public) != (old_owner.backend, old_owner.own.public)
        with served(tmp_path / "data") as after:
            for stale in (old_owner, ConnectionKeys(new_owner.backend, old_owner.own), annas):
                with client_with(after.address, stale) as client, pytest.raises(KeyRefused):
                    client.connected(60)
            renewed = after.paired("anna", renew=True)
            assert renewed.backend == new_owner.backend
            with connected(after.address, renewed) as anna, connected(after.address, new_owner) as owner:
                for client in (anna, owner):
                    assert [job.job for job in jobs_of(client)] == [submit.job]
                anna.attach(submit.job)
                again = collect(anna, submit.job)
            numbered = [event for event in events if event.number]
            assert again == numbered


class TestStarting:
    def test_a_key_file_that_others_can_read_stops_the_backend(self, tmp_path: Path, config_dir: Path) -> None:
        backend_keys()
        backend_key_file().chmod(0o644)
        with BackendProcess(tmp_path / "data") as process:
            assert process.told["code"] == "key.file_unsafe"
            assert "chmod 600" in process.told["remedy"]
        assert process.stop() == 22

    def test_beyond_loopback_only_for_somebody(self, tmp_path: Path) -> None:
        data = DataDir(tmp_path / "data").create()
        registry = ClientRegistry(data.clients, backend_keys().owner.public)
        with BackendProcess(data.root, bind="tcp://0.0.0.0:0") as process:
            assert process.told["code"] == "backend.bind_refused"
            assert "kiss3d pair" in process.told["remedy"]
        registry.begin_pairing(new_key_pair().public, "anna", seconds=60, admin=False, renew=False)
        with BackendProcess(data.root, bind="tcp://0.0.0.0:0") as process:
            assert process.told["event"] == "ready"
        registry.close()


def test_a_program_without_encryption_is_no_backend() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        with Client(f"127.0.0.1:{port}", "test/1") as client, pytest.raises(NotABackend, match="not with the encrypt"):
            client.connected(60)
