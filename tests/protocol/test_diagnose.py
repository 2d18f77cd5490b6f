"""The reason of a silence, as a sentence."""

from __future__ import annotations

import errno
import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import zmq
from tests.protocol.router import Router

from kiss3d_protocol import diagnose as diagnosis
from kiss3d_protocol.address import Address, parse_address
from kiss3d_protocol.diagnose import diagnose
from kiss3d_protocol.errors import BackendUnreachable, KeyRefused, NotABackend


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "_TIMEOUT", 0.3)


@contextmanager
def _listener(greeting: bytes | None = None) -> Iterator[Address]:
    """Takes one connection; says ``greeting`` and then nothing. Without one it does not even look."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(greeting or b"")
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        if greeting is not None:
            thread.start()
        yield Address("127.0.0.1", server.getsockname()[1])
        if greeting is not None:
            thread.join()


def _check(address: Address, cls: type, message: str) -> None:
    found = diagnose(address)
    assert type(found) is cls
    assert found.message == message
    assert found.remedy


def test_a_port_that_nobody_listens_at() -> None:
    with socket.socket() as unused:
        # Bound and not listening: nobody else can take it meanwhile.
        unused.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", unused.getsockname()[1])
        _check(address, BackendUnreachable, f"Nothing listens at {address}.")


def test_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    _check(
        parse_address("gpu-box.example:47800"),
        BackendUnreachable,
        "The name 'gpu-box.example' is not known in this network.",
    )


def test_a_name_that_cannot_be_one() -> None:
    # parse_address refuses it; a settings file may not.
    _check(Address("a..b", 1), BackendUnreachable, "The name 'a..b' is not known in this network.")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TimeoutError("timed out"), "no answer"),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "Network is unr"),
    ],
)
def test_a_machine_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str) -> None:
    def unreachable(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(socket, "create_connection", unreachable)
    found = diagnose(Address("10.0.0.1", 5))
    assert type(found) is BackendUnreachable
    assert found.message.startswith(f"tcp://10.0.0.1:5 cannot be reached ({reason}")


def test_a_web_server() -> None:
    class Quiet(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = Address("127.0.0.1", server.server_address[1])
        try:
            _check(address, NotABackend, f"A web server, not a Kiss3D backend, answers at {address}.")
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("greeting", [None, b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"\x00\xff"])
def test_a_program_that_is_silent_or_says_something_else(greeting: bytes | None) -> None:
    with _listener(greeting) as address:
        _check(address, NotABackend, f"Another program, not a Kiss3D backend, listens at {address}.")


def test_a_program_that_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address("127.0.0.1", server.getsockname()[1])
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        _check(address, NotABackend, f"Another program, not a Kiss3D backend, listens at {address}.")
        thread.join()


def test_a_backend_whose_keys_do_not_fit_or_that_is_stuck() -> None:
    with Router(mute=True) as router:
        address = parse_address(router.address)
        found = diagnose(address)
    assert type(found) is KeyRefused
    assert found.message.startswith(f"A backend listens at {address}, but it does not take up the conversation")
    assert "kiss3d pair" in found.remedy


def test_a_zeromq_program_without_encryption() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        address = Address("127.0.0.1", router.bind_to_random_port("tcp://127.0.0.1"))
        expected = f"The program at {address} speaks ZeroMQ, but not with the encryption of a Kiss3D backend."
        _check(address, NotABackend, expected)
