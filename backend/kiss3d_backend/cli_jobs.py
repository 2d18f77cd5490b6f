"""The options of ``kiss3d jobs``; the commands are in :mod:`kiss3d_backend.commands`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kiss3d_backend.cli_connect import ConnectOption

jobs_app = typer.Typer(name="jobs", invoke_without_command=True, help="List the newest jobs, or see what one did.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDirOption = Annotated[Path | None, typer.Option(help="Where jobs and results are kept.")]


@jobs_app.callback()
def jobs(
    context: typer.Context,
    connect: ConnectOption = None,
    data_dir: DataDirOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at the most.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List the newest jobs."""
    if context.invoked_subcommand is not None:
        return
    from kiss3d_backend.commands.jobs import run_jobs

    run_jobs(connect=connect, data_dir=data_dir, limit=limit, as_json=as_json)


@jobs_app.command()
def report(
    job: Annotated[str, typer.Argument(help="A job's id, or its beginning.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The .html or .json file to write.", show_default=False),
    ] = None,
    connect: ConnectOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page that says what a job did, how long each step took, and what would make the next one faster."""
    from kiss3d_backend.commands.job_report import run_report

    run_report(job=job, output=output, connect=connect, data_dir=data_dir, as_json=as_json)


@jobs_app.command()
def get(
    job: Annotated[str, typer.Argument(help="A job's id, or its beginning.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .glb file to write.", show_default=False)
    ],
    connect: ConnectOption = None,
) -> None:
    """Get the meshes of an earlier job from a running backend. What has come of a big one is not fetched again."""
    from kiss3d_backend.commands.job_get import run_get
    from kiss3d_protocol.version import DEFAULT_ADDRESS

    run_get(job=job, output=output, connect=connect or DEFAULT_ADDRESS)


@jobs_app.command()
def delete(
    job: Annotated[list[str], typer.Argument(help="Ids of jobs, or their beginnings.", show_default=False)],
    connect: ConnectOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete jobs for good, with their results and reports. With --connect, one that runs is cancelled first."""
    from kiss3d_backend.commands.job_ending import run_delete

    run_delete(job, connect=connect, data_dir=data_dir, as_json=as_json)


@jobs_app.command()
def cancel(
    job: Annotated[str, typer.Argument(help="A job's id, or its beginning.", show_default=False)],
    connect: Annotated[str, typer.Option("--connect", "--server", metavar="NAME|ADDRESS", help="A running backend.")],
    as_json: JsonOption = False,
) -> None:
    """Stop a job that waits or runs."""
    from kiss3d_backend.commands.job_ending import run_cancel

    run_cancel(job, connect=connect, as_json=as_json)
