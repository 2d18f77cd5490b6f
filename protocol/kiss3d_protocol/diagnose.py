"""Why a backend does not answer: looked up only after it has not answered."""

from __future__ import annotations

import contextlib
import socket

from kiss3d_protocol.address import Address
from kiss3d_protocol.errors import BackendUnreachable, ConnectionFailed, KeyRefused, NotABackend

_TIMEOUT = 1.5

# A whole greeting (ZMTP 3.1, RFC 37): signature, version, mechanism, as-server, filler.
_GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)
_MECHANISM = slice(12, 32)


def diagnose(address: Address) -> ConnectionFailed:
    """The error that describes best what stands at ``address``. Blocks for up to about three seconds.

    A ZeroMQ peer sends its greeting, which begins with the byte FF (ZMTP 3.1, RFC 37), as soon as it is
    connected; a web server waits for a request.
    """
    try:
        connection = socket.create_connection((address.host.strip("[]"), address.port), _TIMEOUT)
    except ConnectionRefusedError:
        return BackendUnreachable(f"Nothing listens at {address}.")
    except (socket.gaierror, UnicodeError):
        # UnicodeError: the name cannot even be asked for (IDNA).
        return BackendUnreachable(f"The name '{address.host}' is not known in this network.")
    except OSError as error:
        return BackendUnreachable(f"{address} cannot be reached ({error.strerror or 'no answer'}).")
    with connection:
        connection.settimeout(_TIMEOUT)
        greeting = _receive(connection)
        if greeting[:1] == b"\xff":
            return _zeromq_that_does_not_answer(address, connection, greeting)
        try:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        except OSError:
            return NotABackend(f"Another program, not a Kiss3D backend, listens at {address}.")
        if (greeting or _receive(connection)).startswith(b"HTTP/"):
            return NotABackend(f"A web server, not a Kiss3D backend, answers at {address}.")
    return NotABackend(f"Another program, not a Kiss3D backend, listens at {address}.")


def not_encrypted(address: Address) -> NotABackend:
    """The error for a ZeroMQ program that knows no CURVE, or does not ask for it."""
    return NotABackend(
        f"The program at {address} speaks ZeroMQ, but not with the encryption of a Kiss3D backend.",
        "Check the port; a Kiss3D backend of an older version has to be updated.",
    )


def _zeromq_that_does_not_answer(
    address: Address, connection: socket.socket, greeting: bytes
) -> KeyRefused | NotABackend:
    with contextlib.suppress(OSError):
        connection.sendall(_GREETING)
    while len(greeting) < len(_GREETING) and (more := _receive(connection)):
        greeting += more
    if greeting[_MECHANISM].rstrip(b"\0") != b"CURVE":
        return not_encrypted(address)
    return KeyRefused(
        f"A backend listens at {address}, but it does not take up the conversation: it has another key than the one "
        "that this computer knows of it, or it is too busy.",
        "If its keys were changed, ask for a new pairing string ('kiss3d pair' on its machine) and pair again; "
        "a local backend has to be started again.",
    )


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(64)
    except OSError:
        return b""
