"""Why a backend does not answer: looked up only after it has not answered."""

from __future__ import annotations

import socket

from kiss3d_protocol.address import Address
from kiss3d_protocol.errors import BackendUnreachable, ConnectionFailed, NotABackend

_TIMEOUT = 1.5


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
            return NotABackend(f"The program at {address} speaks ZeroMQ, but did not answer as a Kiss3D backend.")
        try:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        except OSError:
            return NotABackend(f"Another program, not a Kiss3D backend, listens at {address}.")
        if (greeting or _receive(connection)).startswith(b"HTTP/"):
            return NotABackend(f"A web server, not a Kiss3D backend, answers at {address}.")
    return NotABackend(f"Another program, not a Kiss3D backend, listens at {address}.")


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(64)
    except OSError:
        return b""
