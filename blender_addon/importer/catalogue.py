"""The catalogues of an asset library: the file that Blender keeps them in, beside the .blend files (no bpy)."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from kiss3d_protocol.errors import OutputUnwritable, ParamsInvalid

CATALOGUES = "blender_assets.cats.txt"
_VERSION = "VERSION 1"
_HEAD = f"# The catalogues of this asset library, one on each line: id:path:name\n\n{_VERSION}\n\n"
LONGEST_NAME = 63
"""Bytes of a catalogue's simple name, which Blender shows when it does not find the file."""


def ensure_catalogue(folder: Path, path: str) -> str:
    """The id (a UUID) of the catalogue ``path`` of the library in ``folder``, which is added when it is not there.

    ``path`` has ``/`` between its parts, as "Props/Chairs"; Blender makes the catalogues above it itself. What else is
    in the file stays. Raises :class:`ParamsInvalid` for a path that is none, :class:`OutputUnwritable`.
    """
    path = "/".join(part for part in (part.strip() for part in path.split("/")) if part)
    if not path or any(letter in ":\\" or not letter.isprintable() for letter in path):
        raise ParamsInvalid(f"'{path}' cannot be a catalogue.", "Write it as Props/Chairs, without colons.")
    file = folder / CATALOGUES
    try:
        written = file.read_text(encoding="utf-8") if file.exists() else _HEAD
        known = {line.split(":")[1].strip(): line.split(":")[0].strip() for line in _lines(written)}
        if path in known:
            return known[path]
        id = str(uuid.uuid4())
        name = path.replace("/", "-").encode("utf-8")[-LONGEST_NAME:].decode("utf-8", "ignore")
        _write(file, written.rstrip("\n") + ("\n\n" if written.rstrip().endswith(_VERSION) else "\n"), id, path, name)
    except (OSError, UnicodeDecodeError) as error:
        raise OutputUnwritable(f"'{file}' cannot be written.") from error
    return id


def _lines(written: str) -> list[str]:
    """Those that name a catalogue."""
    return [line for line in written.splitlines() if line.count(":") >= 2 and not line.startswith("#")]


def _write(file: Path, before: str, id: str, path: str, name: str) -> None:
    whole = file.with_name(f".{file.name}.{os.getpid()}")
    whole.write_text(f"{before}{id}:{path}:{name}\n", encoding="utf-8", newline="\n")
    whole.replace(file)
