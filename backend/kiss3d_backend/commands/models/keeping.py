"""``kiss3d models import`` and ``prune``: taking files in, and letting go of what nothing needs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kiss3d_backend.commands.models.byte_display import ByteDisplay
from kiss3d_backend.commands.models.stopping import stopped_by_user
from kiss3d_backend.models.importing import import_file
from kiss3d_backend.models.prune import Leftover, leftovers, prune
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.amounts import amount_text
from kiss3d_protocol.errors import JobCancelled


def run_import(source: Path, *, entry: str | None, file: str | None, data_dir: Path, as_json: bool) -> bool:
    """Takes in one file; False when the user stopped it. Raises what :func:`import_file` raises."""
    store = ModelStore(data_dir)
    with stopped_by_user() as stop, ByteDisplay(silent=as_json) as display:

        def on_step(step: str, done: int, total: int) -> None:
            display.show(step, source.name, done, total)

        try:
            imported = import_file(source, store, entry, file, on_step, stop)
        except JobCancelled:
            print("Cancelled.", file=sys.stderr)
            return False
    if as_json:
        told = {
            "entry": imported.entry,
            "file": imported.file,
            "path": str(imported.path),
            "trust": imported.trust,
            "converted": imported.converted,
        }
        print(json.dumps(told))
        return True
    how = ", converted" if imported.converted else ""
    trust = "its hash is the published one" if imported.trust == "catalogue" else "its hash is trusted on first use"
    print(f"{source.name} is {imported.file} of the model '{imported.entry}'{how}; {trust}.")
    return True


def run_prune(*, yes: bool, data_dir: Path, as_json: bool) -> None:
    """Shows what may go, and deletes it after ``yes``, or after asking in a terminal."""
    store = ModelStore(data_dir)
    found = leftovers(store)
    delete = bool(found) and (yes or (not as_json and _ask(found)))
    gone = prune(store) if delete else found
    size = sum(leftover.size for leftover in gone)
    if as_json:
        files = [{"path": str(each.path), "size": each.size, "reason": each.reason} for each in gone]
        print(json.dumps({"deleted": delete, "size": size, "files": files}))
    elif delete:
        print(f"{len(gone)} file{'' if len(gone) == 1 else 's'} deleted, {amount_text(size)} freed.")
    elif not found:
        print("There is nothing to delete.")
    else:
        print(f"{amount_text(size)} could be freed. Nothing was deleted; say so with --yes.")


def _ask(found: tuple[Leftover, ...]) -> bool:
    import typer

    table = Table("File", "Size", "Why", box=None)
    for leftover in found:
        table.add_row(escape(str(leftover.path)), amount_text(leftover.size), leftover.reason)
    Console(highlight=False).print(table)
    return sys.stdin.isatty() and typer.confirm("Delete these files?")
