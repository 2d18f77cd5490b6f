"""The Python that the environment is made with: one of this machine, or one that uv fetches."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kiss3d_protocol.errors import SetupPythonMissing

Tool = Literal["auto", "venv", "uv"]

OLDEST, NEWEST = (3, 11), (3, 13)
"""The Pythons for which every package of the pinned set has wheels on every platform."""

FETCHED = "3.12"
"""What uv is asked for where this machine has none."""

SECONDS = 60

PROBE = """
import json, sys
import ensurepip, venv
print(json.dumps({"version": sys.version_info[:2], "python": sys.executable}))
"""


@dataclass(frozen=True)
class Maker:
    """What makes the environment. ``uv``: the program that also installs, or None when venv and pip do.

    ``chosen``: whether a person has asked for this Python. If nobody has, an environment of another one will do.
    """

    python: str
    uv: str | None = None
    chosen: bool = False


def find_maker(
    tool: Tool,
    chosen: str | None,
    own_last: bool,
    works: Callable[[Sequence[str]], str | None] | None = None,
    which: Callable[[str], str | None] = shutil.which,
) -> Maker:
    """What the environment is made with. Raises :class:`SetupPythonMissing`.

    ``chosen``: the Python that a person wants. ``own_last``: that of this process belongs to another program, Blender,
    and is taken only where there is no other, as the environment would end with that program. With ``auto``, pip
    installs when this machine has a Python, since that is what machines are configured for; uv where one must be
    fetched. ``works`` says the path of a Python that can be used.
    """
    works = works or usable_python
    uv = which("uv")
    if tool == "uv" and uv is None:
        raise SetupPythonMissing("uv was asked for, and is not on this machine.")
    if chosen is not None:
        if tool == "uv":
            return Maker(chosen, uv, chosen=True)
        found = works([chosen])
        if found is None:
            raise SetupPythonMissing(f"'{chosen}' is no Python 3.11 to 3.13 that can make an environment.")
        return Maker(found, chosen=True)
    if tool == "uv":
        return Maker(FETCHED, uv)
    own = [sys.executable] if sys.executable else []
    for candidate in ([own] if own and not own_last else []) + list(_candidates(which)):
        if (found := works(candidate)) is not None:
            return Maker(found)
    if tool == "auto" and uv is not None:
        return Maker(FETCHED, uv)
    if own and own_last and (found := works(own)) is not None:
        return Maker(found)
    raise SetupPythonMissing("No Python 3.11 to 3.13 that can make an environment was found on this machine.")


def usable_python(command: Sequence[str]) -> str | None:
    """The path of the Python that this command starts, when it is of a fitting version and has venv and ensurepip."""
    try:
        done = subprocess.run(
            [*command, "-I", "-c", PROBE], capture_output=True, text=True, timeout=SECONDS, check=False
        )
        answer = json.loads(done.stdout)
        fits = OLDEST <= tuple(answer["version"]) <= NEWEST
        return str(Path(answer["python"])) if done.returncode == 0 and fits else None
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
        return None


def runs(python: Path) -> bool:
    """Whether an environment's Python still starts: on Windows it is there also when the one that made it is gone."""
    try:
        return (
            subprocess.run([python, "-I", "-c", ""], capture_output=True, timeout=SECONDS, check=False).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _candidates(which: Callable[[str], str | None]) -> Iterator[Sequence[str]]:
    versions = ("3.12", "3.13", "3.11")
    if sys.platform == "win32" and which("py"):
        yield from (["py", f"-{version}"] for version in versions)
    for name in (*(f"python{version}" for version in versions), "python3", "python"):
        if (found := which(name)) is not None:
            yield [found]
