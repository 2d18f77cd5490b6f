"""``kiss3d clients``: who may connect, and who may not any more."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from attrs import asdict
from rich.console import Console
from rich.table import Table

from kiss3d_backend.clients.registry import ClientRecord
from kiss3d_backend.commands.keys.registry import open_registry


def run_list(*, data_dir: Path, as_json: bool) -> None:
    """Prints the clients by name, then the pairings that wait."""
    with open_registry(data_dir) as registry:
        clients, pairings = registry.clients(), registry.pairings()
    if as_json:
        waiting = [{"name": each.name, "admin": each.admin, "expires": each.expires} for each in pairings]
        print(json.dumps({"clients": [asdict(client) for client in clients], "pairings": waiting}))
        return
    table = Table("Name", "May", "State", "Paired", "Last seen", box=None)
    for client in clients:
        table.add_row(client.name, _may(client.admin), _state(client), _date(client.paired), _date(client.seen))
    for pairing in pairings:
        table.add_row(pairing.name, _may(pairing.admin), f"pairing until {_date(pairing.expires)}", "", "")
    Console().print(table if clients or pairings else "Nobody but you yet.")


def run_revoke(name: str, *, data_dir: Path, as_json: bool) -> None:
    """Revokes a client; a backend that runs stops serving it at once."""
    with open_registry(data_dir) as registry:
        registry.revoke(name)
    print(json.dumps({"revoked": name}) if as_json else f"'{name}' is not let in any more. Its jobs stay.")


def run_admin(name: str, *, admin: bool, data_dir: Path, as_json: bool) -> None:
    """Changes what a client may do; a backend that runs minds it at once."""
    with open_registry(data_dir) as registry:
        registry.set_admin(name, admin)
    print(json.dumps({"client": name, "admin": admin}) if as_json else f"'{name}' may {_may(admin)} now.")


def _may(admin: bool) -> str:
    return "everything" if admin else "use its own jobs"


def _state(client: ClientRecord) -> str:
    return "known" if client.revoked is None else f"revoked {_date(client.revoked)}"


def _date(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
