"""The options of the commands about keys; the commands are in :mod:`kiss3d_backend.commands.keys`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kiss3d_backend.config import default_data_dir

clients_app = typer.Typer(name="clients", no_args_is_help=True, help="See who may connect to this machine's backend.")
servers_app = typer.Typer(name="servers", no_args_is_help=True, help="See the backends that this computer knows.")
keys_app = typer.Typer(name="keys", no_args_is_help=True, help="Change the keys of this user's backends.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDirOption = Annotated[Path | None, typer.Option(help="Where the backend keeps its jobs and its clients.")]


def add_key_commands(app: typer.Typer) -> None:
    """Adds ``pair``, ``connect``, ``clients``, ``servers`` and ``keys``."""
    app.command()(pair)
    app.command()(connect)
    for group in (clients_app, servers_app, keys_app):
        app.add_typer(group)


def pair(
    name: Annotated[str, typer.Argument(help="Who it is for, for example 'anna'.", show_default=False)],
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="How the client reaches this backend.", show_default="this host, 47800"),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, max=1440, help="How long the string is good for.")] = 10.0,
    admin: Annotated[bool, typer.Option("--admin", help="It may see, cancel and delete everybody's jobs.")] = False,
    renew: Annotated[bool, typer.Option("--renew", help="Give a client that is there a new key.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a pairing string, by which one client may become known to this machine's backend, once."""
    from kiss3d_backend.commands.keys.pairing import run_pair

    run_pair(
        name, address=address, minutes=minutes, admin=admin, renew=renew, data_dir=_absolute(data_dir), as_json=as_json
    )


def connect(
    name: Annotated[
        str | None, typer.Option(help="What to call the backend here.", show_default="the name of its host")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Pair this computer with a backend. Asks for the pairing string, or reads it from standard input."""
    from kiss3d_backend.commands.keys.connecting import run_connect

    run_connect(name, as_json=as_json)


@clients_app.command("list")
def list_clients(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the clients and the pairings that wait."""
    from kiss3d_backend.commands.keys.clients import run_list

    run_list(data_dir=_absolute(data_dir), as_json=as_json)


@clients_app.command()
def revoke(
    name: Annotated[str, typer.Argument(show_default=False)],
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a client in no more, from this moment. Its jobs stay."""
    from kiss3d_backend.commands.keys.clients import run_revoke

    run_revoke(name, data_dir=_absolute(data_dir), as_json=as_json)


@clients_app.command()
def admin(
    name: Annotated[str, typer.Argument(show_default=False)],
    off: Annotated[bool, typer.Option("--off", help="Only its own jobs again.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a client see, cancel and delete everybody's jobs, from this moment."""
    from kiss3d_backend.commands.keys.clients import run_admin

    run_admin(name, admin=not off, data_dir=_absolute(data_dir), as_json=as_json)


@servers_app.command("list")
def list_known_servers(as_json: JsonOption = False) -> None:
    """List the backends that this computer was paired with."""
    from kiss3d_backend.commands.keys.connecting import run_servers

    run_servers(as_json=as_json)


@servers_app.command()
def forget(name: Annotated[str, typer.Argument(show_default=False)]) -> None:
    """Delete the key for a backend."""
    from kiss3d_backend.commands.keys.connecting import run_forget

    run_forget(name)


@keys_app.command()
def rotate(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Make new keys for this user's backends and their owner. Jobs stay with whom they belong to."""
    from kiss3d_backend.commands.keys.rotating import run_rotate

    run_rotate(data_dir=_absolute(data_dir), as_json=as_json)


def _absolute(data_dir: Path | None) -> Path:
    return (data_dir or default_data_dir()).absolute()
