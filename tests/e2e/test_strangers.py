"""One backend, and everybody who has no business there: nobody gets a byte or a job in, and its owner is served."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import zmq
from tests.fakes.backend_process import MISBEHAVING, BackendProcess, collect
from tests.fakes.raw_client import raw_dealer
from tests.fakes.served import Served, client_with

from kiss3d_backend.clients.registry import ClientRegistry
from kiss3d_backend.config import DataDir
from kiss3d_protocol.address import parse_address
from kiss3d_protocol.framing import decode_server, encode
from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.messages import Attach, Cancel, Finished, GetReport, Hello, ListJobs, Ping, Refused
from kiss3d_protocol.models import PullModels
from kiss3d_protocol.pairing import Pair
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.redeem import redeem
from kiss3d_protocol.security import ConnectionKeys, new_key_pair
from kiss3d_protocol.version import PROTOCOL_VERSION

HELLO = encode(Hello(PROTOCOL_VERSION, "stranger/1"))
UNKNOWN_NAMES = ("params.preset_unknown", "params.recipe_unknown", "model.catalogue_invalid")
GREETING = b"\xff\0\0\0\0\0\0\0\1\x7f\3\1"
"""Of ZMTP 3.1, up to the name of the mechanism."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("strangers") / "data"
    with BackendProcess(root, recipes=MISBEHAVING) as process:
        keys = backend_keys()
        registry = ClientRegistry(DataDir(root).clients, keys.owner.public)
        yield Served(process.address, DataDir(root), registry, keys.backend.public)
        registry.close()
        assert process.process.poll() is None


@contextlib.contextmanager
def tcp(address: str) -> Iterator[socket.socket]:
    place = parse_address(address)
    with socket.create_connection((place.host, place.port), timeout=10) as connection:
        yield connection


def all_that_comes(connection: socket.socket, seconds: float = 0.3) -> bytes:
    """Until nothing comes any more, or the other side has hung up."""
    heard = b""
    connection.settimeout(seconds)
    with contextlib.suppress(OSError):
        while data := connection.recv(65536):
            heard += data
    return heard


def log_of(house: Served) -> list[dict[str, Any]]:
    return [json.loads(line) for line in house.data_dir.log.read_text(encoding="utf-8").splitlines()]


def test_other_protocols_hear_the_greeting_of_zeromq_and_nothing_else(house: Served) -> None:
    source = random.Random(7)
    said = {
        "nothing": b"",
        "HTTP": b"GET / HTTP/1.1\r\nHost: box:47800\r\n\r\n",
        "HTTP POST": b"POST /prompt HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + source.randbytes(500),
        "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
        "noise": source.randbytes(100_000),
        "half a greeting": GREETING,
        "NULL, and a frame of 2^63 bytes": GREETING + b"NULL".ljust(20, b"\0") + bytes(32) + b"\x06" + b"\x7f" * 8,
        "PLAIN": GREETING + b"PLAIN".ljust(20, b"\0") + bytes(32) + b"\x04\x1a\x05HELLO\x05admin\x05admin",
        "CURVE, then noise": GREETING + b"CURVE".ljust(20, b"\0") + bytes(32) + b"\x04\xc8" + source.randbytes(200),
        "an old ZMTP": b"\x01\0" + b"\x05\0" + source.randbytes(4),
        "a length of 2^64": b"\xff" + struct.pack(">Q", 2**64 - 1) + source.randbytes(2000),
    }
    for what, data in said.items():
        with tcp(house.address) as connection:
            connection.sendall(data)
            heard = all_that_comes(connection)
            # The greeting names the mechanism; after it a stranger gets at most an error of the handshake.
            assert len(heard) <= 64 + 64, what
            assert b"kiss3d" not in heard.lower() and b"K3D" not in heard, what


def test_wrong_mechanisms_and_keys_get_no_message_in(house: Served, make_submit: Any) -> None:
    backend = backend_keys().backend.public
    revoked = house.paired("revoked")
    house.registry.revoke("revoked")
    used = house.pairing("used")
    redeem(used, "box", "test/1")

    def null(dealer: zmq.Socket[bytes]) -> None: ...

    def plain(dealer: zmq.Socket[bytes]) -> None:
        dealer.setsockopt(zmq.PLAIN_USERNAME, b"admin")
        dealer.setsockopt(zmq.PLAIN_PASSWORD, b"admin")

    def curve(keys: ConnectionKeys) -> Callable[[zmq.Socket[bytes]], None]:
        def set_up(dealer: zmq.Socket[bytes]) -> None:
            dealer.curve_serverkey = keys.backend.encode()
            dealer.curve_publickey = keys.own.public.encode()
            dealer.curve_secretkey = keys.own.secret.encode()

        return set_up

    strangers = {
        "NULL": null,
        "PLAIN": plain,
        "the backend's public key": curve(ConnectionKeys(backend, new_key_pair())),
        "another backend's key": curve(ConnectionKeys(new_key_pair().public, backend_keys().owner)),
        "a revoked key": curve(revoked),
        "a used pairing string": curve(used.keys),
    }
    submit, blob = make_submit()
    told: list[str] = []
    with zmq.Context() as context, contextlib.ExitStack() as stack:
        dealers: dict[str, zmq.Socket[bytes]] = {}
        for who, set_up in strangers.items():
            dealer = dealers[who] = stack.enter_context(context.socket(zmq.DEALER))
            dealer.setsockopt(zmq.LINGER, 0)
            set_up(dealer)
            dealer.connect(house.address)
            for message in (HELLO, encode(submit, [blob]), encode(ListJobs()), encode(Ping())):
                with contextlib.suppress(zmq.Again):
                    dealer.send_multipart(message, zmq.DONTWAIT)
        told = [who for who, dealer in dealers.items() if dealer.poll(300)]
    assert told == []
    with raw_dealer(house.address) as owner:
        for message in (HELLO, encode(Attach(submit.job))):
            owner.send_multipart(message)
        owner.recv_multipart()
        refused, _ = decode_server(owner.recv_multipart())
        assert isinstance(refused, Refused) and refused.code == "job.unknown"


def test_the_right_key_on_anothers_job_learns_nothing(house: Served, make_submit: Any) -> None:
    submit, blob = make_submit()
    with client_with(house.address, house.paired("anna")) as anna:
        anna.connected(60)
        anna.submit(submit, [blob])
        assert isinstance(collect(anna, submit.job)[-1], Finished)
    with raw_dealer(house.address, house.paired("ben")) as ben:
        ben.send_multipart(HELLO)
        ben.recv_multipart()
        for message in (Attach(submit.job), Cancel(submit.job), GetReport(submit.job)):
            ben.send_multipart(encode(message))
            frames = ben.recv_multipart()
            refused, _ = decode_server(frames)
            assert isinstance(refused, Refused) and refused.code == "job.unknown"
            assert len(frames) == 2
        ben.send_multipart(encode(ListJobs()))
        assert submit.job.encode() not in b"".join(ben.recv_multipart())
        # One who is in already cannot pair a second key for itself, either.
        ben.send_multipart(encode(Pair(PROTOCOL_VERSION, "x", new_key_pair().public)))
        assert decode_server(ben.recv_multipart())[0].code == "pairing.refused"  # pyright: ignore


def test_bytes_of_a_client_that_is_in_do_not_hurt_either(house: Served, make_submit: Any) -> None:
    source = random.Random(9)
    submit, blob = make_submit()
    good = encode(submit, [blob])
    with raw_dealer(house.address, house.paired("mallory")) as mallory:
        mallory.send_multipart(HELLO)
        mallory.recv_multipart()
        for frames in (
            [b""],
            [b""] * 40,
            [b"GET / HTTP/1.1\r\n\r\n"],
            [good[0], b"\x81\xa4type" + b"\x91" * 100_000],
            [good[0], b"\xdf\x7f\xff\xff\xff"],
            [*good[:2], blob[:-1] + b"\0"],
            [good[0], bytes(good[1]).replace(b"image/png", b"../../png"), blob],
            [good[0], bytes(good[1]).replace(submit.job.encode(), b"../../../../../tmp/a-path-not-an-idx"), blob],
            *([source.randbytes(source.randrange(60)) for _ in range(source.randrange(1, 25))] for _ in range(50)),
        ):
            mallory.send_multipart(frames)
            refused, blobs = decode_server(mallory.recv_multipart())
            assert isinstance(refused, Refused) and refused.code.startswith("protocol.") and blobs == []
        for message, sent in (
            (attrs.evolve(submit, params=GenerateParams("../../../etc", 0)), [blob]),
            (attrs.evolve(submit, params=GenerateParams("draft", 0, "../../../etc")), [blob]),
            (PullModels("../../../etc"), []),
            (PullModels(None, ("../../../etc/passwd", "a\0b")), []),
        ):
            mallory.send_multipart(encode(message, sent))
            refused, _ = decode_server(mallory.recv_multipart())
            assert isinstance(refused, Refused) and refused.code in UNKNOWN_NAMES
        # It is served on, like everybody else, and its job may be called what it likes.
        good = encode(attrs.evolve(submit, name="../../../tmp/a-path-not-an-id\n\x1b[2J"), [blob])
        mallory.send_multipart(good)
        while not isinstance(decode_server(mallory.recv_multipart())[0], Finished):
            pass


def test_after_all_that_the_owner_is_served_and_the_log_is_short(house: Served, make_submit: Any) -> None:
    for _ in range(200):
        with tcp(house.address) as connection:
            connection.sendall(os.urandom(80))
    submit, blob = make_submit(prompt="a heron made of brass")
    with client_with(house.address, backend_keys().of_owner) as owner:
        owner.connected(60)
        owner.submit(submit, [blob])
        assert isinstance(collect(owner, submit.job)[-1], Finished)
    lines = log_of(house)
    about_strangers = [line["message"] for line in lines if line["message"].startswith("turned away")]
    assert any("the revoked client revoked, from 127.0.0.1" in line for line in about_strangers)
    assert any("without this backend's keys" in line for line in about_strangers)
    # Hundreds of visits, each kind of visitor once a minute.
    assert len(about_strangers) <= 12
    assert [line for line in lines if line["level"] in ("ERROR", "CRITICAL")] == []


def test_nothing_is_written_outside_the_data_directory(house: Served) -> None:
    around = {path.name for path in house.data_dir.root.parent.iterdir()}
    assert around == {house.data_dir.root.name}
    assert not list(Path("/tmp").glob("a-path-not-an-id*"))
    kept = {path.relative_to(house.data_dir.root).parts[0] for path in house.data_dir.root.rglob("*")}
    assert {name.split(".")[0] for name in kept} <= {
        "artifacts",
        "backends",
        "checkpoints",
        "clients",
        "jobs",
        "logs",
        "reserve",
    }
