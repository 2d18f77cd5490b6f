"""The options of ``kiss3d models``; the commands are in :mod:`kiss3d_backend.commands.models`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kiss3d_backend.config import default_data_dir

INTERRUPTED = 130

models_app = typer.Typer(name="models", no_args_is_help=True, help="See, get and check the model files.")

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDirOption = Annotated[Path | None, typer.Option(help="Where models.toml and our own model files are kept.")]
Names = Annotated[list[str], typer.Argument(metavar="PRESET|ENTRY...", show_default=False)]


@models_app.command("list")
def list_models(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """List the models: state, size, licence, and what they are for."""
    from kiss3d_backend.commands.models.listing import run_list

    run_list(data_dir=_absolute(data_dir), as_json=as_json)


@models_app.command()
def pull(
    names: Names,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    until_stdin_closes: Annotated[bool, typer.Option(help="Stop when standard input is closed.")] = False,
) -> None:
    """Download what presets or entries lack. Goes on where an earlier one stopped."""
    from kiss3d_backend.commands.models.pulling import run_pull

    _end(run_pull(names, data_dir=_absolute(data_dir), as_json=as_json, until_stdin_closes=until_stdin_closes))


@models_app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[PRESET|ENTRY...]", show_default=False)] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hash the files that are here, and compare them with what is known."""
    from kiss3d_backend.commands.models.checking import run_verify

    _end(run_verify(names or [], data_dir=_absolute(data_dir), as_json=as_json))


@models_app.command()
def path(
    entry: Annotated[str, typer.Argument(show_default=False)],
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print where the files of an entry lie."""
    from kiss3d_backend.commands.models.listing import run_path

    run_path(entry, data_dir=_absolute(data_dir), as_json=as_json)


@models_app.command()
def prune(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete downloads that were not finished, converted pickles, and what no preset needs."""
    from kiss3d_backend.commands.models.keeping import run_prune

    run_prune(yes=yes, data_dir=_absolute(data_dir), as_json=as_json)


@models_app.command("import")
def import_model(
    source: Annotated[Path, typer.Argument(metavar="FILE", show_default=False)],
    entry: Annotated[str | None, typer.Option(help="The entry that it belongs to.")] = None,
    file: Annotated[str | None, typer.Option(help="Which of the entry's files it is.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take in a file that was downloaded by other means."""
    from kiss3d_backend.commands.models.keeping import run_import

    _end(run_import(source, entry=entry, file=file, data_dir=_absolute(data_dir), as_json=as_json))


def _absolute(data_dir: Path | None) -> Path:
    return (data_dir or default_data_dir()).absolute()


def _end(finished: bool) -> None:
    if not finished:
        raise typer.Exit(INTERRUPTED)
