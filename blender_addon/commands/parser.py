"""The command line in words: what ``blender --command kiss3d`` understands (no bpy)."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from kiss3d_protocol.errors import ParamsInvalid
from kiss3d_protocol.messages import MAX_LISTED_JOBS
from kiss3d_protocol.params import DEFAULT_PRESET, MAX_BUNDLES, MAX_SEED, GenerateParams

from ..importer.result_options import MAX_LODS, ResultOptions, split_tags
from ..job_inputs import among_bundles, check_pick, each_bundle, make_params
from .options import BatchOptions, GenerateOptions, ImportOptions, Options, OutputOptions

PROGRAM = "blender --command kiss3d"
JOBS_AT_ONCE = 4
"""With the backend, which works on one after the other: enough that it never waits for us."""
MOST_JOBS_AT_ONCE = 16
DEFAULT_SIZE = 2.0
ALL = "all"


def parse(argv: Sequence[str]) -> Options:
    """The options in ``argv``. Raises :class:`ParamsInvalid`; SystemExit with 2 for what is no option, with 0 after
    the help was printed."""
    given = _parser().parse_args(list(argv))
    match given.command:
        case "generate":
            return _generate(given)
        case "batch":
            return _batch(given)
        case _:
            return _import(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description="Pictures to textured 3D objects.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    said = "Make an object of a picture, of words, of a mesh, or of views."
    generate = commands.add_parser("generate", help=said, description=said, allow_abbrev=False)
    generate.add_argument("picture", nargs="?", type=Path, help="the picture to make an object of")
    generate.add_argument("-o", "--output", required=True, type=Path, metavar="FILE", help=_FILE_HELP)
    generate.add_argument("--mesh", type=Path, metavar="FILE", help="a mesh to enhance: GLB, OBJ or PLY")
    generate.add_argument("--bundle", type=Path, metavar="PNG", help="a finished bundle of 2048 x 1024 pixels")
    generate.add_argument(
        "--view", type=Path, action="append", metavar="PNG", help="a view; four times, from the front and going round"
    )
    generate.add_argument(
        *("--bundles",), type=int, default=1, metavar="N", help=f"how many bundles to make, 1 to {MAX_BUNDLES}"
    )
    generate.add_argument(
        "--bundle-seed", type=int, metavar="N", help="of the first bundle, when it is not to be the job's"
    )
    generate.add_argument(
        *("--pick",), default=ALL, metavar="N|all", help="the bundle to make an object of (default: an object of each)"
    )
    generate.add_argument("--write-prompt", action="store_true", help="let a chat model rewrite the prompt")
    generate.add_argument("--no-redraw", action="store_true", help="take a bundle also when it does not look right")
    _add_params(generate, "what it is, in words")
    _add_result(generate)

    said = "Make objects of all pictures of a folder, or of all rows of a table."
    ends = "Ends with 0 when all are made, and with 19 when some are not; the manifest beside the results says which."
    batch = commands.add_parser("batch", help=said, description=f"{said} {ends}", allow_abbrev=False)
    batch.add_argument("source", type=Path, metavar="FOLDER|FILE", help=_SOURCE_HELP)
    _add_outputs(batch)
    batch.add_argument("--recursive", action="store_true", help="also the folders in the folder")
    batch.add_argument("--jobs", type=int, default=JOBS_AT_ONCE, metavar="N", help="given to the backend at once")
    batch.add_argument("--resume", action="store_true", help="go on with the batch that is there")
    batch.add_argument("--retry-failed", action="store_true", help="try those that failed once more")
    batch.add_argument("--fail-fast", action="store_true", help="end at the first one that fails")
    _add_params(batch, "for rows without one")
    _add_result(batch)

    said = "Import finished jobs from a backend."
    imported = commands.add_parser("import", help=said, description=said, allow_abbrev=False)
    imported.add_argument("--id", action="append", default=[], metavar="ID", help="a job's id, or its beginning")
    imported.add_argument("--since", metavar="DATE", help="those finished since, as 2026-11-01 or 2026-11-01T18:30")
    imported.add_argument("--last", type=int, metavar="N", help="only the newest")
    _add_outputs(imported)
    _add_result(imported)
    return parser


_FILE_HELP = "the .blend or .glb to write; a .blend that is there gets the object added"
_SOURCE_HELP = "a folder of pictures, or a .csv or .jsonl file with picture, prompt, seed, preset, name"


def _add_params(parser: argparse.ArgumentParser, prompt: str) -> None:
    parser.add_argument("--prompt", default="", help=prompt)
    parser.add_argument("--preset", default=DEFAULT_PRESET, help="draft, fast, balanced or quality (default: draft)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=f"0 to {MAX_SEED} (default: 0)")
    parser.add_argument("--faces", type=int, metavar="N", help="triangles of a result")
    parser.add_argument("--texture-size", type=int, metavar="PIXELS", help="1024, 2048 or 4096")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        *("-o", "--output"),
        required=True,
        type=Path,
        metavar="FILE.blend|FOLDER",
        help="one .blend with a collection for each result, laid out on a grid; or a folder with a file for each. A "
        ".blend that is there gets them added",
    )
    parser.add_argument("--format", choices=("glb", "blend"), help="of the files in a folder (default: glb)")
    parser.add_argument("--columns", type=int, metavar="N", help="of the grid (default: about as many as rows)")


def _add_result(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        *("--size",), type=float, default=DEFAULT_SIZE, metavar="LENGTH", help="of the longest side (default: 2)"
    )
    parser.add_argument("--lods", type=int, default=0, metavar="N", help=f"levels of detail, 0 to {MAX_LODS}")
    parser.add_argument("--asset", action="store_true", help="mark results as assets")
    parser.add_argument("--catalog", default="", metavar="PATH", help="mark them as assets of this catalogue")
    parser.add_argument("--tags", default="", help="of assets, with commas between them")
    parser.add_argument(
        *("--connect", "--server"),
        metavar="NAME|ADDRESS",
        help="a running backend: one that this computer was paired with, or tcp://HOST:PORT; else what the add-on's "
        "preferences say",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs, as the last line")


def _generate(given: argparse.Namespace) -> GenerateOptions:
    params = make_params(
        given.preset,
        given.seed,
        given.prompt,
        faces=given.faces,
        texture_size=given.texture_size,
        bundle_seed=given.bundle_seed,
        write_prompt=given.write_prompt,
        redraw=not given.no_redraw,
    )
    suffix = given.output.suffix.lower()
    if suffix not in (".blend", ".glb"):
        raise ParamsInvalid(f"'{given.output}' is neither a .blend nor a .glb file.", "Give it one of these endings.")
    views = (*(() if given.bundle is None else (given.bundle,)), *(given.view or ()))
    output = _output(given, "blend" if suffix == ".blend" else "glb", None)
    wanted, pick = _bundles(params, given.bundles, given.pick)
    return GenerateOptions(given.picture, given.mesh, views, wanted, pick, output, given.connect, given.json)


def _bundles(params: GenerateParams, bundles: int, pick: str) -> tuple[tuple[GenerateParams, ...], int | None]:
    """The settings of each job, and the index of the bundle that is taken where one has several.

    An object has one job, which can make it again: so all bundles are as many jobs, with the seeds that they would have
    in one.
    """
    if pick == ALL:
        return each_bundle(params, bundles), None
    if not pick.isascii() or not pick.isdigit():
        raise ParamsInvalid(f"There is no bundle '{pick:.20}' to pick.", f"Say 'all', or a number from 1 to {bundles}.")
    wanted = among_bundles(params, bundles)
    check_pick(int(pick), bundles)
    return (wanted,), int(pick) - 1


def _batch(given: argparse.Namespace) -> BatchOptions:
    if not 1 <= given.jobs <= MOST_JOBS_AT_ONCE:
        raise ParamsInvalid(f"{given.jobs} jobs at once are not between 1 and {MOST_JOBS_AT_ONCE}.")
    return BatchOptions(
        given.source,
        make_params(given.preset, given.seed, given.prompt, faces=given.faces, texture_size=given.texture_size),
        given.recursive,
        given.jobs,
        given.resume or given.retry_failed,
        given.retry_failed,
        given.fail_fast,
        _outputs(given),
        given.connect,
        given.json,
    )


def _import(given: argparse.Namespace) -> ImportOptions:
    if given.id and (given.since is not None or given.last is not None):
        raise ParamsInvalid("Jobs are chosen by their ids, or by --since and --last.", "Leave one of them out.")
    if given.last is not None and not 1 <= given.last <= MAX_LISTED_JOBS:
        raise ParamsInvalid(f"The newest {given.last} jobs are not between 1 and {MAX_LISTED_JOBS}.")
    since = None if given.since is None else _timestamp(given.since)
    return ImportOptions(tuple(given.id), since, given.last, _outputs(given), given.connect, given.json)


def _outputs(given: argparse.Namespace) -> OutputOptions:
    if given.format is not None and given.output.suffix.lower() == ".blend":
        raise ParamsInvalid(f"'{given.output}' is one file for all: --format is for a folder.", "Leave one out.")
    if given.columns is not None and given.columns < 1:
        raise ParamsInvalid(f"A grid cannot have {given.columns} columns.")
    return _output(given, given.format or "glb", given.columns)


def _output(given: argparse.Namespace, kind: str, columns: int | None) -> OutputOptions:
    if not 0 < given.size < math.inf:
        raise ParamsInvalid(f"The size {given.size} is not a length greater than 0.")
    if not 0 <= given.lods <= MAX_LODS:
        raise ParamsInvalid(f"{given.lods} levels of detail are not between 0 and {MAX_LODS}.")
    is_asset = bool(given.asset or given.catalog or given.tags)
    one_blend = given.output.suffix.lower() == ".blend"
    if is_asset and kind == "glb" and not one_blend:
        raise ParamsInvalid("A .glb holds no assets.", "Write a .blend, or a folder with --format blend.")
    if given.lods and kind == "glb" and not one_blend:
        raise ParamsInvalid("A .glb holds no levels of detail.", "Write a .blend, or a folder with --format blend.")
    result = ResultOptions(given.lods, is_asset, split_tags(given.tags))
    return OutputOptions(
        given.output.absolute(),
        "blend" if kind == "blend" else "glb",
        given.size,
        result,
        given.catalog,
        columns,
    )


def _timestamp(written: str) -> float:
    """Seconds since 1970 of a date or a time, which are local unless they say otherwise."""
    try:
        return datetime.fromisoformat(written).astimezone().timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ParamsInvalid(f"'{written}' is no date.", "Write it as 2026-11-01 or 2026-11-01T18:30.") from error
