"""The command line: install, status, remove. With --json each line of the output is an event, for the add-on."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kiss3d_protocol.errors import Kiss3DError, SetupFolderForeign, SetupStepFailed
from kiss3d_protocol.installation import default_folder, read_installation

from .folder import locked, remove_environment, remove_if_empty
from .graphics_card import find_card
from .install import Say, Wish, install
from .process import Stop
from .pythons import find_maker
from .torch_builds import CUDA_BUILDS, TorchBuild, build_of, choose_torch


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, or that of the error."""
    chosen = parser().parse_args(arguments)
    say = print_event if chosen.json else print_words()
    command: Callable[[argparse.Namespace, Say], None] = chosen.run
    try:
        command(chosen, say)
    except Kiss3DError as error:
        say({"event": "error", "code": error.code, "message": error.message, "remedy": error.remedy})
        return error.exit_code
    except OSError as error:
        failed = SetupStepFailed(f"The set-up could not go on: {error}.")
        say({"event": "error", "code": failed.code, "message": failed.message, "remedy": failed.remedy})
        return failed.exit_code
    return 0


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kiss3d_setup", description="Set up a Kiss3D backend in an environment of its own."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("install", help="set up, go on with a set-up that was interrupted, or upgrade")
    one.set_defaults(run=_install)
    one.add_argument("--tool", choices=("auto", "venv", "uv"), default="auto", help="what makes it (auto)")
    one.add_argument("--python", help="the Python to make it with: 3.11 to 3.13; with uv also a version")
    one.add_argument("--own-python-last", action="store_true", help="this Python only where there is no other")
    tags = ", ".join(build.tag for build in CUDA_BUILDS)
    one.add_argument("--torch", default="auto", metavar="BUILD", help=f"auto, cpu, {tags} or pypi (auto)")
    one.add_argument("--extras", default="gpu,metrics", help="optional parts, with commas (gpu,metrics)")
    one.add_argument("--until-stdin-closes", action="store_true", help="cancel when the standard input closes")
    two = commands.add_parser("status", help="say what is there")
    two.set_defaults(run=_status)
    three = commands.add_parser("remove", help="take the environment away; jobs, results and models stay")
    three.set_defaults(run=_remove)
    for each in (one, two, three):
        each.add_argument("--into", type=Path, default=default_folder(), metavar="DIR", help="the folder (%(default)s)")
        each.add_argument("--json", action="store_true", help="print events, one JSON object a line")
    return parser


def _install(chosen: argparse.Namespace, say: Say) -> None:
    stop = Stop()
    # Not in the handler itself: it would run in the middle of whatever the main thread does.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=stop.ask).start())
    if chosen.until_stdin_closes:
        threading.Thread(target=_ask_at_the_end_of_input, args=(stop,), daemon=True).start()
    maker = find_maker(chosen.tool, chosen.python, chosen.own_python_last)
    extras = tuple(part for part in chosen.extras.split(",") if part)
    install(Wish(chosen.into.expanduser().absolute(), maker, _torch(chosen.torch), extras), say, stop)


def _ask_at_the_end_of_input(stop: Stop) -> None:
    # Not through sys.stdin: Python could not end while this thread holds it.
    while os.read(0, 4096):
        pass
    stop.ask()


def _torch(chosen: str) -> TorchBuild:
    if chosen == "auto":
        return choose_torch(sys.platform, platform.machine(), find_card())
    try:
        return build_of(chosen)
    except ValueError as error:
        raise SetupStepFailed(f"There is no such build of torch: {error}.", "Choose another with --torch.") from error


def _status(chosen: argparse.Namespace, say: Say) -> None:
    found = read_installation(chosen.into)
    if found is None:
        raise SetupFolderForeign(
            f"There is no set-up in '{chosen.into}'.", "Set a backend up there, or check the path."
        )
    state = {"version": found.version, "complete": found.complete, "torch": found.torch, "python": str(found.python)}
    say({"event": "status", "folder": str(found.folder), **state})


def _remove(chosen: argparse.Namespace, say: Say) -> None:
    folder = chosen.into.expanduser().absolute()
    found = read_installation(folder)
    if found is None:
        remove_environment(folder)  # says why not
        return
    with locked(folder):
        remove_environment(folder)
    remove_if_empty(folder)
    say({"event": "removed", "folder": str(folder), "data": found.data, "models": found.models})


def print_event(event: dict[str, Any]) -> None:
    """One JSON object on a line of the standard output."""
    print(json.dumps(event), flush=True)


def print_words() -> Say:
    """The same for people: each step once, and what it is about."""
    shown: list[str] = []

    def say(event: dict[str, Any]) -> None:
        match event["event"]:
            case "plan":
                print(f"Kiss3D {event['version']} into {event['folder']}. {event['why']}", flush=True)
            case "progress":
                text = event["title"] + (f": {event['text']}" if event["text"] else "")
                if shown[-1:] != [text]:
                    shown[:] = [text]
                    print(f"[{event['fraction']:4.0%}] {text}", flush=True)
            case "done":
                for finding in event["findings"]:
                    if finding["verdict"] != "ok":
                        print(f"{finding['subject']}: {finding['text']} {finding['remedy']}".rstrip())
                program = Path(event["python"]).with_name("kiss3d")
                print(f"Done. It is started with:\n    {program} serve")
                print("The draft preset is ready; the others need model files, for example:")
                print(f"    {program} models pull fast", flush=True)
            case "error":
                print(f"{event['message']} {event['remedy']}".strip(), file=sys.stderr, flush=True)
            case "removed":
                print(f"{event['folder']}: the environment is gone.")
                print(f"Jobs and results stay where they were: {event['data'] or 'the data folder'}")
                print(f"So do model files, which other programs may use too: {event['models'] or 'their cache'}")
            case _:
                print("\n".join(f"{name}: {value}" for name, value in event.items() if name != "event"))

    return say
