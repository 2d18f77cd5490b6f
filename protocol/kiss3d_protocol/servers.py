"""The backends that this user's clients have been paired with, each under a name, and how any backend is found.

Each is a secret file in the user's configuration directory: never in a .blend file, never in Blender's preferences.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from kiss3d_protocol.address import Address, parse_address
from kiss3d_protocol.errors import AddressInvalid, KeyFileUnusable, KeyMissing, ServerUnknown
from kiss3d_protocol.key_files import backend_keys, config_dir, read_secret, write_secret
from kiss3d_protocol.security import ConnectionKeys, key_pair_of, key_to_bytes

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_-]+)*")
MAX_NAME = 64


@frozen
class Server:
    """A backend that this client was paired with. ``client`` is the name under which the backend knows it."""

    name: str
    address: Address
    client: str
    keys: ConnectionKeys


@frozen
class Endpoint:
    """Where to connect to, and with what keys."""

    address: Address
    keys: ConnectionKeys


def is_name(text: str) -> bool:
    """Whether a text can be the name of a client or a server: up to 64 letters, digits, ``_``, ``-`` and dots."""
    return len(text) <= MAX_NAME and _NAME.fullmatch(text) is not None


def find_endpoint(text: str) -> Endpoint:
    """The backend that a user means by a server's name or an address.

    At a loopback address stands a backend of this user, whose keys lie in this user's key file. A backend that is
    reached through a tunnel has a loopback address too, and is meant by its name.

    Raises :class:`AddressInvalid`, :class:`KeyMissing` for an address of a backend that this client was not paired
    with, and what :func:`backend_keys` raises.
    """
    if is_name(text) and _path(text).exists():
        server = find_server(text)
        return Endpoint(server.address, server.keys)
    try:
        address = parse_address(text)
    except AddressInvalid as error:
        if is_name(text):
            raise AddressInvalid(
                f"'{text}' is neither an address nor a backend that this computer was paired with."
            ) from error
        raise
    if address.is_loopback:
        return Endpoint(address, backend_keys().of_owner)
    for server in list_servers():
        if server.address == address:
            return Endpoint(address, server.keys)
    raise KeyMissing(f"This computer has no key for the backend at {address}.")


def address_of(text: str) -> Address:
    """Where the backend is that a user means by a server's name or an address; keys are not looked for.

    Raises :class:`AddressInvalid`, and what :func:`find_server` raises.
    """
    return find_server(text).address if is_name(text) and _path(text).exists() else parse_address(text)


def find_server(name: str) -> Server:
    """The server of this name. Raises :class:`ServerUnknown`, :class:`KeyFileUnsafe`, :class:`KeyFileUnusable`."""
    if not is_name(name) or not _path(name).exists():
        raise ServerUnknown(f"This computer was not paired with a backend '{name:.100}'.")
    document = read_secret(_path(name))
    try:
        key_to_bytes(document["backend"])
        keys = ConnectionKeys(document["backend"], key_pair_of(document["own"]))
        return Server(name, parse_address(document["address"]), str(document["client"]), keys)
    except (KeyError, TypeError, ValueError, AttributeError, AddressInvalid) as error:
        raise KeyFileUnusable(f"The key file {_path(name)} does not describe a backend.") from error


def list_servers() -> list[Server]:
    """All of them, by name. Raises what :func:`find_server` raises."""
    names = (path.name[len(_PREFIX) : -len(_SUFFIX)] for path in _folder().glob(f"{_PREFIX}*{_SUFFIX}"))
    return [find_server(name) for name in sorted(names) if is_name(name)]


def save_server(server: Server) -> None:
    """Keeps a server, in place of one of the same name. Raises :class:`KeyFileUnusable`."""
    document: dict[str, Any] = {
        "address": str(server.address),
        "client": server.client,
        "backend": server.keys.backend,
        "own": server.keys.own.secret,
    }
    write_secret(_path(server.name), json.dumps(document, indent=1) + "\n", replace=True)


def keep_backend_key(endpoint: Endpoint, public_key: str) -> None:
    """A backend has told its new key: it is kept in place of the old one. This user's own backends have their key file.

    Raises what :func:`list_servers` and :func:`save_server` raise.
    """
    for server in list_servers():
        if server.keys == endpoint.keys:
            save_server(evolve(server, keys=ConnectionKeys(public_key, server.keys.own)))


def forget_server(name: str) -> None:
    """Deletes a server and the key for it. Raises :class:`ServerUnknown`."""
    if not is_name(name) or not _path(name).exists():
        raise ServerUnknown(f"This computer was not paired with a backend '{name:.100}'.")
    _path(name).unlink(missing_ok=True)


# The prefix keeps names like "con" apart from the devices that Windows has in every folder.
_PREFIX, _SUFFIX = "server-", ".key"


def _folder() -> Path:
    return config_dir() / "servers"


def _path(name: str) -> Path:
    return _folder() / f"{_PREFIX}{name}{_SUFFIX}"
