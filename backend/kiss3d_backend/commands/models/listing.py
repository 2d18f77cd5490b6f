"""``kiss3d models list`` and ``path``: what the catalogue has, and where it lies here."""

from __future__ import annotations

import json
from pathlib import Path

from attrs import asdict
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kiss3d_backend.models.catalogue_reader import USER_FILE
from kiss3d_backend.models.overview import model_info
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.amounts import amount_text
from kiss3d_protocol.models import ModelInfo

PLAIN_WIDTH = 240
HASHES = {"known": "published", "pinned": "trusted on first use", "unknown": "not known yet"}


def run_list(*, data_dir: Path, as_json: bool) -> None:
    """Prints every entry. Raises a :class:`ModelError` for a catalogue that cannot be read."""
    infos = [model_info(state) for state in ModelStore(data_dir).entries()]
    if as_json:
        print(json.dumps([asdict(info) for info in infos]))
        return
    table = Table("Model", "State", "Size", "Hash", "Licence", "Gated", "Presets", "What for", box=None)
    for info in infos:
        cells = (
            info.name,
            state_text(info),
            amount_text(info.size),
            HASHES[info.sha256],
            info.licence,
            "yes" if info.gated else "",
            ", ".join(info.presets),
            info.title,
        )
        table.add_row(*map(escape, cells))
    # Where nobody looks at a terminal, a line stays a line.
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    console.print(table)
    override = data_dir / USER_FILE
    if override.is_file():
        console.print(f"With the changes of {override}.", markup=False, soft_wrap=True)


def state_text(info: ModelInfo) -> str:
    """How an entry stands, in a few words."""
    match info.state:
        case "missing":
            return "missing"
        case "partial":
            return f"{amount_text(info.have)} of it here"
        case "present":
            return "here, not checked yet"
        case "ready":
            return "your own file" if info.local else "ready"


def run_path(entry: str, *, data_dir: Path, as_json: bool) -> None:
    """Prints where the files of an entry lie, one a line, after checking those that were never checked.

    Raises :class:`ModelFileMissing`, :class:`ModelFileCorrupt`, :class:`CatalogueInvalid`.
    """
    files = ModelStore(data_dir).files(entry)
    if as_json:
        print(json.dumps({"entry": entry, "files": {name: str(path) for name, path in files.paths.items()}}))
        return
    for path in files.paths.values():
        print(path)
