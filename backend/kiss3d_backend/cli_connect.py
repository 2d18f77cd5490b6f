"""The option by which a command is told which backend to use."""

from __future__ import annotations

from typing import Annotated

import typer

ConnectOption = Annotated[
    str | None,
    typer.Option(
        "--connect",
        "--server",
        metavar="NAME|ADDRESS",
        help="A running backend: one that this computer was paired with, or tcp://HOST:PORT.",
    ),
]
