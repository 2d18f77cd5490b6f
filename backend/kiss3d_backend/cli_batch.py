"""The options of ``kiss3d batch``; the command is in :mod:`kiss3d_backend.commands.batch`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kiss3d_backend.cli_connect import ConnectOption
from kiss3d_protocol.errors import ParamsInvalid
from kiss3d_protocol.params import DEFAULT_PRESET, FACES_RANGE, MAX_SEED, TEXTURE_SIZES, GenerateParams

JOBS_AT_ONCE = 4
"""With the backend, which works on one after the other: enough that it never waits for us."""


def batch(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER|FILE",
            help="A folder of pictures, or a .csv or .jsonl file with picture, prompt, seed, preset, name.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="Where results go.")],
    preset: Annotated[str, typer.Option(help="draft, fast, balanced or quality.")] = DEFAULT_PRESET,
    prompt: Annotated[str, typer.Option(help="For rows without one.", show_default=False)] = "",
    seed: Annotated[int, typer.Option(help=f"0 to {MAX_SEED}, for rows without one.")] = 0,
    faces: Annotated[int | None, typer.Option(help="Triangles of each result.")] = None,
    texture_size: Annotated[int | None, typer.Option(help="1024, 2048 or 4096.")] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Also the folders in the folder.")] = False,
    jobs: Annotated[int, typer.Option(min=1, max=16, help="How many the backend is given at once.")] = JOBS_AT_ONCE,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the batch in the output folder.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try those that failed once more.")] = False,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="End at the first one that fails.")] = False,
    connect: ConnectOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Make meshes of all pictures of a folder, or of all rows of a table.

    Ends with 0 when all are made, and with 19 when some are not; manifest.jsonl and index.html in the output folder say
    which.
    """
    from kiss3d_backend.commands.batch.run import BatchOptions, run_batch

    try:
        params = GenerateParams(preset, seed, prompt=prompt, faces=faces, texture_size=texture_size)
    except ValueError as error:
        raise ParamsInvalid(
            f"The seed must be from 0 to {MAX_SEED}, the preset a short name, the faces from {FACES_RANGE[0]} to "
            f"{FACES_RANGE[1]}, the texture size one of {', '.join(map(str, TEXTURE_SIZES))}."
        ) from error
    run_batch(
        BatchOptions(
            source, output, params, recursive, jobs, resume or retry_failed, retry_failed, fail_fast, connect, as_json
        )
    )
