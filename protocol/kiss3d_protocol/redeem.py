"""The client's side of a pairing: its new key goes to the backend once, over a connection of the pairing's own key."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from kiss3d_protocol.address import Address
from kiss3d_protocol.diagnose import diagnose
from kiss3d_protocol.errors import ConnectionFailed, KeyRefused, PairingRefused, ParamsInvalid, error_from_wire
from kiss3d_protocol.framing import decode_server, encode
from kiss3d_protocol.messages import Refused
from kiss3d_protocol.pairing import Pair, Paired
from kiss3d_protocol.pairing_string import PairingString, parse_pairing
from kiss3d_protocol.security import ConnectionKeys, new_key_pair
from kiss3d_protocol.servers import Server, is_name, list_servers, save_server
from kiss3d_protocol.transport.zeromq import ZeroMQTransport
from kiss3d_protocol.version import PROTOCOL_VERSION

REDEEM_SECONDS = 10.0


def pair_with(text: str, client_name: str, server_name: str | None = None, **options: Any) -> Server:
    """Pairs this computer with the backend of a pairing string, and keeps its key under ``server_name``.

    The name is by default that of the backend's host. ``client_name`` is name/version, for the backend's log. Raises
    :class:`PairingInvalid`, :class:`ParamsInvalid` for a name that cannot be or that another backend has, what
    :func:`redeem` raises, and :class:`KeyFileUnusable`.
    """
    pairing = parse_pairing(text)
    name = server_name or _name_of(pairing.address)
    if not is_name(name):
        raise ParamsInvalid(f"'{name:.100}' cannot be the name of a backend.", "Use letters, digits, '-', '_' and '.'.")
    # Before the string is used up.
    for known in list_servers():
        if known.name == name and known.address != pairing.address:
            raise ParamsInvalid(
                f"'{name}' is the name of the backend at {known.address} already.", "Give this one another name."
            )
    server = redeem(pairing, name, client_name, **options)
    save_server(server)
    return server


def _name_of(address: Address) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "", address.host.replace(":", "-")).strip("-.") or "server"


def redeem(
    pairing: PairingString,
    server_name: str,
    client_name: str,
    *,
    timeout: float = REDEEM_SECONDS,
    diagnosis: Callable[[Address], ConnectionFailed] = diagnose,
) -> Server:
    """Makes a key and has the backend put it on its allow list; waits for the answer.

    The server that is returned has not been stored yet. Raises :class:`PairingRefused` for a string that was used, has
    expired or was withdrawn, :class:`ConnectionFailed` when the backend does not answer, and what it says itself.
    """
    own = new_key_pair()
    transport = ZeroMQTransport(pairing.address, pairing.keys)
    try:
        answer = _ask(transport, Pair(PROTOCOL_VERSION, client_name, own.public), timeout)
    finally:
        transport.close()
    if answer is None:
        raise diagnosis(pairing.address)
    if isinstance(answer, Refused):
        raise error_from_wire(answer.code, answer.message, answer.remedy)
    return Server(server_name, pairing.address, answer.name, ConnectionKeys(pairing.keys.backend, own))


def _ask(transport: ZeroMQTransport, message: Pair, timeout: float) -> Paired | Refused | None:
    deadline = time.monotonic() + timeout
    # Once is enough: ZeroMQ keeps it until the handshake is done, and a second one would find the pairing used.
    transport.send(encode(message))
    while (left := deadline - time.monotonic()) > 0:
        try:
            frames = transport.receive(left)
        except KeyRefused as error:
            raise PairingRefused("The backend does not accept this pairing string (any more).") from error
        if frames is None:
            continue
        answer, _ = decode_server(frames)
        if isinstance(answer, Paired | Refused):
            return answer
    return None
