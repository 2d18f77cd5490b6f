"""``kiss3d connect`` and ``kiss3d servers``: the backends that this computer was paired with."""

from __future__ import annotations

import getpass
import json
import sys

from rich.console import Console
from rich.table import Table

from kiss3d_backend import __version__
from kiss3d_protocol.pairing_string import MAX_LETTERS
from kiss3d_protocol.redeem import pair_with
from kiss3d_protocol.servers import forget_server, list_servers


def run_connect(name: str | None, *, as_json: bool) -> None:
    """Pairs this computer. The string is never an argument: everybody on a machine can read those."""
    if sys.stdin.isatty():
        text = getpass.getpass("Pairing string (it is not shown): ")
    else:
        text = sys.stdin.read(MAX_LETTERS + 1)
    server = pair_with(text, f"cli/{__version__}", name)
    if as_json:
        print(json.dumps({"name": server.name, "address": str(server.address), "client": server.client}))
    else:
        print(f"Paired with {server.address} as '{server.client}'. Use it with --connect {server.name}.")


def run_servers(*, as_json: bool) -> None:
    """Prints the backends by name."""
    servers = list_servers()
    if as_json:
        told = [{"name": one.name, "address": str(one.address), "client": one.client} for one in servers]
        print(json.dumps(told))
        return
    table = Table("Name", "Address", "Known there as", box=None)
    for one in servers:
        table.add_row(one.name, str(one.address), one.client)
    Console().print(table if servers else "This computer was not paired with any backend yet.")


def run_forget(name: str) -> None:
    """Deletes the key for a backend."""
    forget_server(name)
    print(f"The key for '{name}' is deleted. On the backend's machine: 'kiss3d clients revoke NAME'.")
