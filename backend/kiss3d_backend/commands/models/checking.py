"""``kiss3d models verify``: hashes what is here, again."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import evolve
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kiss3d_backend.commands.models.byte_display import ByteDisplay
from kiss3d_backend.commands.models.stopping import stopped_by_user
from kiss3d_backend.models.pull import entries_of
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.models.verify import Verified
from kiss3d_protocol.errors import JobCancelled, ModelFileCorrupt, ModelFileMissing

STYLES = {"right": "green", "trusted on first use": "green", "missing": "yellow", "wrong": "red"}


def run_verify(names: Sequence[str], *, data_dir: Path, as_json: bool) -> bool:
    """Prints a line a file; False when the user stopped it. Without names, all that is here is looked at.

    Raises :class:`ModelFileCorrupt` at the end when a file is wrong, :class:`ModelFileMissing` when a named entry lacks
    one, and :class:`CatalogueInvalid`.
    """
    store = ModelStore(data_dir)
    states = [store.entry(entry.name) for entry in entries_of(names, store)] if names else store.entries()
    here = [state for state in states if names or any(file.path is not None for file in state.files)]
    total = sum(file.done for state in here for file in state.files if file.path is not None)
    done = 0
    lines: list[Verified] = []
    with stopped_by_user() as stop, ByteDisplay(silent=as_json) as display:
        try:
            for state in here:
                name = state.entry.name

                def on_bytes(count: int, name: str = name) -> None:
                    nonlocal done
                    done += count
                    display.show("hash", name, done, total)

                lines += store.verify((name,), on_bytes, stop)
        except JobCancelled:
            print("Cancelled.", file=sys.stderr)
            return False
    _show(lines, as_json=as_json)
    _judge(lines, names)
    return True


def _show(lines: Sequence[Verified], *, as_json: bool) -> None:
    if as_json:
        told = [
            {"entry": line.entry, "file": line.file, "outcome": line.outcome, "error": line.error} for line in lines
        ]
        print(json.dumps(told))
        return
    table = Table(box=None, show_header=False)
    for line in (evolve(line, error=line.error or str(line.path or "")) for line in lines):
        table.add_row(f"[{STYLES[line.outcome]}]{line.outcome}[/]", f"{line.entry}/{line.file}", escape(line.error))
    Console(highlight=False).print(table if lines else "There are no model files here yet.")


def _judge(lines: Sequence[Verified], names: Sequence[str]) -> None:
    wrong = [f"{line.entry}/{line.file}" for line in lines if line.outcome == "wrong"]
    if wrong:
        raise ModelFileCorrupt(f"Not what they should be: {', '.join(wrong)}.")
    missing = [f"{line.entry}/{line.file}" for line in lines if line.outcome == "missing"]
    if missing and names:
        raise ModelFileMissing(f"Not here: {', '.join(missing)}.")
