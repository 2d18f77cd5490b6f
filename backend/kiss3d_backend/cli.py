"""``kiss3d``: the command line. Each command is in :mod:`kiss3d_backend.commands`; this file only reads options.

The commands import what they need when they run, so that ``kiss3d serve`` is ready in a fraction of a second.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from kiss3d_backend import __version__
from kiss3d_backend.cli_batch import batch
from kiss3d_backend.cli_connect import ConnectOption
from kiss3d_backend.cli_jobs import jobs_app
from kiss3d_backend.cli_keys import add_key_commands
from kiss3d_backend.cli_models import INTERRUPTED, models_app
from kiss3d_backend.config import DEFAULT_RECIPES
from kiss3d_protocol.errors import Kiss3DError, ParamsInvalid
from kiss3d_protocol.params import (
    DEFAULT_PRESET,
    DEFAULT_RECIPE,
    FACES_RANGE,
    MAX_BUNDLES,
    MAX_PROMPT,
    MAX_SEED,
    TEXTURE_SIZES,
    GenerateParams,
)
from kiss3d_protocol.version import DEFAULT_ADDRESS, PROTOCOL_VERSION

app = typer.Typer(
    name="kiss3d",
    invoke_without_command=True,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(models_app)
app.add_typer(jobs_app)

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
DataDirOption = Annotated[Path | None, typer.Option(help="Where jobs and results are kept.")]
BudgetOption = Annotated[
    str | None,
    typer.Option(
        metavar="AMOUNT",
        help="Of the graphics card's memory, as 12GB or 11.5GiB.",
        show_default="what is free, less room for Blender on a card that draws the desktop",
    ),
]


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Pictures to textured 3D meshes."""
    if version:
        print(f"kiss3d {__version__} (protocol {PROTOCOL_VERSION})")
        raise typer.Exit


@app.command()
def generate(
    output: Annotated[Path, typer.Option("--output", "-o", help="The GLB file to write.", show_default=False)],
    picture: Annotated[Path | None, typer.Argument(help="The picture to make a mesh of.", show_default=False)] = None,
    prompt: Annotated[str, typer.Option(help="What it is, in words.", show_default=False)] = "",
    mesh: Annotated[Path | None, typer.Option(help="A mesh to enhance: GLB, OBJ or PLY.")] = None,
    bundle: Annotated[Path | None, typer.Option(metavar="PNG", help="A finished bundle of 2048 x 1024 pixels.")] = None,
    view: Annotated[
        list[Path] | None, typer.Option(metavar="PNG", help="A view; four times, from the front and going round.")
    ] = None,
    write_prompt: Annotated[
        bool, typer.Option("--write-prompt", help="Let a chat model rewrite the prompt, or the caption.")
    ] = False,
    preset: Annotated[str, typer.Option(help="draft, fast, balanced or quality.")] = DEFAULT_PRESET,
    seed: Annotated[int, typer.Option(help=f"0 to {MAX_SEED}.")] = 0,
    faces: Annotated[int | None, typer.Option(help="Triangles of the result.")] = None,
    texture_size: Annotated[int | None, typer.Option(help="1024, 2048 or 4096.")] = None,
    bundles: Annotated[int, typer.Option(help=f"How many bundles to make, 1 to {MAX_BUNDLES}.")] = 1,
    bundle_seed: Annotated[
        int | None, typer.Option(help="Of the first bundle, when it should not be the job's.", show_default=False)
    ] = None,
    redraw: Annotated[bool, typer.Option(help="Draw a bundle that does not look right once more.")] = True,
    pick: Annotated[str, typer.Option(metavar="N|all", help="The bundle to make a mesh of.")] = "all",
    connect: ConnectOption = None,
    render: Annotated[Path | None, typer.Option(metavar="PNG", help="Also write a picture of the mesh.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write what ran, .html or .json.")] = None,
    vram_budget: BudgetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a textured mesh of a picture, of words, of a mesh, or of views.

    Without --connect a private backend is started for this one job.
    """
    from kiss3d_backend.commands.generate import GenerateOptions, run_generate
    from kiss3d_backend.commands.job_request import JobFiles

    chosen = picked_bundle(pick, bundles)
    try:
        params = GenerateParams(
            preset,
            seed,
            prompt=prompt,
            faces=faces,
            texture_size=texture_size,
            bundle_seed=bundle_seed,
            bundles=bundles,
            choose=chosen is not None,
            write_prompt=write_prompt,
            redraw=redraw,
        )
    except ValueError as error:
        raise ParamsInvalid(
            f"The seeds must be from 0 to {MAX_SEED}, the preset a short name, the prompt at most {MAX_PROMPT} "
            f"letters, the faces from {FACES_RANGE[0]} to {FACES_RANGE[1]}, the texture size one of "
            f"{', '.join(map(str, TEXTURE_SIZES))}, the bundles from 1 to {MAX_BUNDLES}."
        ) from error
    views = (*(() if bundle is None else (bundle,)), *(view or ()))
    files = JobFiles(picture, mesh, views)
    run_generate(GenerateOptions(files, output, params, chosen, connect, render, as_json, report, vram_budget))


def picked_bundle(pick: str, bundles: int) -> int | None:
    """The number of a bundle, from 1, or None for all. Raises :class:`ParamsInvalid`."""
    if pick == "all":
        return None
    if not pick.isascii() or not pick.isdigit() or not 1 <= int(pick) <= bundles:
        raise ParamsInvalid(f"There is no bundle '{pick:.20}' to pick.", f"Say 'all', or a number from 1 to {bundles}.")
    return int(pick)


@app.command()
def reconstruct(
    bundle: Annotated[Path, typer.Argument(help="A bundle picture of 2048 x 1024 pixels.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The GLB file to write.", show_default=False)],
    init: Annotated[Path | None, typer.Option(metavar="MESH", help="A coarse mesh to start from.")] = None,
    preset: Annotated[str, typer.Option(help="draft, fast or quality.")] = "fast",
    faces: Annotated[int | None, typer.Option(help="Triangles of the result.")] = None,
    texture_size: Annotated[int | None, typer.Option(help="1024, 2048 or 4096.")] = None,
    keep_frame: Annotated[bool, typer.Option(help="Leave the mesh in the bundle's world.")] = False,
    rasterizer: Annotated[str | None, typer.Option(help="numba, warp, torch or pytorch3d.")] = None,
    render: Annotated[Path | None, typer.Option(metavar="PNG", help="Also write a picture of the mesh.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a textured mesh of a finished bundle."""
    from kiss3d_backend.commands.reconstruct import ReconstructOptions, run_reconstruct

    run_reconstruct(
        ReconstructOptions(bundle, output, init, preset, faces, texture_size, keep_frame, rasterizer, render, as_json)
    )


@app.command()
def render(
    mesh: Annotated[Path, typer.Argument(help="The mesh: GLB, OBJ or PLY.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The PNG file to write.", show_default=False)],
    keep_frame: Annotated[
        bool | None,
        typer.Option(
            "--keep-frame/--fit",
            help="Leave the mesh where it is, or fit it to the views.",
            show_default="fit it only if it is not in the bundle's world",
        ),
    ] = None,
    smooth: Annotated[bool, typer.Option(help="Smooth normals instead of the faces' own.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Render a mesh to a bundle: four views and their normals."""
    from kiss3d_backend.commands.render import run_render

    run_render(mesh=mesh, output=output, keep_frame=keep_frame, smooth=smooth, as_json=as_json)


@app.command()
def serve(
    bind: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen; port 0 takes a free one.")] = (
        DEFAULT_ADDRESS
    ),
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
    until_stdin_closes: Annotated[bool, typer.Option(help="End when standard input is closed.")] = False,
    private: Annotated[bool, typer.Option(help="Cancel unfinished jobs at the end.")] = False,
    vram_budget: BudgetOption = None,
    keep_days: Annotated[
        float | None,
        typer.Option(min=0, help="How long jobs that have ended are kept.", show_default="30, or as said before"),
    ] = None,
    keep_gb: Annotated[
        float | None,
        typer.Option(min=0, help="How much they may take; the oldest go first.", show_default="20, or as said before"),
    ] = None,
    grace: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="What the running job is given to end, when told to stop.")
    ] = 30.0,
    metrics: Annotated[
        str | None, typer.Option(metavar="PORT|HOST:PORT", help="Serve metrics for Prometheus.", show_default=False)
    ] = None,
    print_log: Annotated[
        bool, typer.Option(envvar="KISS3D_PRINT_LOG", help="Print the log on standard error, with --json too.")
    ] = False,
    executor: Annotated[
        Literal["local", "ray"], typer.Option(help="Where jobs run: on this machine, or on those of a Ray cluster.")
    ] = "local",
    ray_address: Annotated[
        str, typer.Option(metavar="HOST:PORT|auto", help="The cluster; auto is the one that this machine is part of.")
    ] = "auto",
    recipes: Annotated[
        str, typer.Option(metavar="MODULE:NAME", envvar="KISS3D_RECIPES", hidden=True)
    ] = DEFAULT_RECIPES,
) -> None:
    """Run a backend that Blender and other clients connect to."""
    from kiss3d_backend.commands.serve import run_serve

    run_serve(
        bind=bind,
        data_dir=data_dir,
        recipes=recipes,
        as_json=as_json,
        until_stdin_closes=until_stdin_closes,
        private=private,
        vram_budget=vram_budget,
        keep_days=keep_days,
        keep_gigabytes=keep_gb,
        grace=grace,
        metrics=metrics,
        print_log=print_log,
        ray_address=ray_address if executor == "ray" else None,
    )


@app.command()
def status(
    connect: Annotated[
        str, typer.Option("--connect", "--server", metavar="NAME|ADDRESS", help="The backend to ask.")
    ] = DEFAULT_ADDRESS,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="How long to wait for an answer.")] = 10.0,
    as_json: JsonOption = False,
) -> None:
    """Say how a running backend is: 0 when it is healthy, 3 when it has problems, 40 to 44 when it does not answer."""
    from kiss3d_backend.commands.status import run_status

    raise typer.Exit(run_status(connect=connect, timeout=timeout, as_json=as_json))


@app.command()
def plan(
    preset: Annotated[str, typer.Option(help="fast, balanced or quality.")] = "fast",
    recipe: Annotated[str, typer.Option(help="image_to_3d, text_to_3d, mesh_to_3d or views_to_3d.")] = DEFAULT_RECIPE,
    vram_budget: BudgetOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say where this machine would have each network, and what memory each step will take."""
    from kiss3d_backend.commands.plan import run_plan

    run_plan(preset=preset, recipe=recipe, vram_budget=vram_budget, data_dir=data_dir, as_json=as_json)


@app.command()
def doctor(data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Say what this machine can run, and what is wrong with it."""
    from kiss3d_backend.commands.doctor import run_doctor

    raise typer.Exit(run_doctor(data_dir=data_dir, as_json=as_json))


app.command()(batch)
add_key_commands(app)


def main() -> NoReturn:
    """Runs a command. Ends with 0, with the error's own exit code, or with 2 for a wrong option."""
    try:
        app()
    except Kiss3DError as error:
        _tell_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    raise AssertionError("typer ends the process itself")


def _tell_error(error: Kiss3DError) -> None:
    if "--json" in sys.argv:
        told = {"event": "error", "code": error.code, "message": error.message, "remedy": error.remedy}
        print(json.dumps(told), flush=True)
    print(f"Error: {error}", file=sys.stderr)
