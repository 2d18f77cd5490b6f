"""``kiss3d pair``: a pairing string for one client."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from kiss3d_backend.commands.keys.registry import open_registry
from kiss3d_protocol.address import Address, parse_address
from kiss3d_protocol.errors import AddressInvalid
from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.pairing_string import PairingString
from kiss3d_protocol.security import ConnectionKeys, new_key_pair
from kiss3d_protocol.version import DEFAULT_PORT


def run_pair(
    name: str, *, address: str | None, minutes: float, admin: bool, renew: bool, data_dir: Path, as_json: bool
) -> None:
    """Begins a pairing and prints its string. No backend needs to run; one that runs knows of it at once."""
    place = _this_host() if address is None else parse_address(address)
    once = new_key_pair()
    with open_registry(data_dir) as registry:
        pairing = registry.begin_pairing(once.public, name, seconds=60 * minutes, admin=admin, renew=renew)
    text = PairingString(place, ConnectionKeys(backend_keys().backend.public, once), name).to_text()
    if as_json:
        told = {
            "pairing": text,
            "name": name,
            "address": str(place),
            "admin": pairing.admin,
            "renew": renew,
            "expires": pairing.expires,
        }
        print(json.dumps(told))
        return
    print(f"For '{name}', to reach {place}; good for {minutes:g} minutes and one use:\n\n{text}\n")
    print("Paste it into the add-on's preferences in Blender, or give it to 'kiss3d connect', on that computer.")


def _this_host() -> Address:
    try:
        return parse_address(f"{socket.gethostname()}:{DEFAULT_PORT}")
    except AddressInvalid as error:
        raise AddressInvalid(
            "The name of this computer cannot be an address.", "Say how clients reach it: --address HOST:PORT."
        ) from error
