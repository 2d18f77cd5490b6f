"""``batch``: many pictures or prompts to one .blend or to a folder of files, resumed after whatever happens."""

from __future__ import annotations

import sys

from kiss3d_protocol.batch.manifest import Manifest
from kiss3d_protocol.batch.rows import read_rows
from kiss3d_protocol.errors import BatchInvalid

from .. import blender_session
from ..translations.errors import told
from . import outputs
from .backend import check_presets, connected
from .conclusion import conclude
from .display import Display
from .items import Item, items_of_rows
from .options import BatchOptions
from .runner import Output, Runner


def run_batch(options: BatchOptions) -> None:
    """Makes what is missing. Raises :class:`BatchIncomplete` when some rows have no result, with ``fail_fast`` the
    first one's own error, and :class:`BatchInvalid` before anything is made."""
    items = items_of_rows(read_rows(options.source.absolute(), options.params, recursive=options.recursive))
    with Manifest(outputs.manifest_of(options.output)) as manifest:
        if manifest.entries and not options.resume:
            raise BatchInvalid(
                f"'{options.output.path}' has a batch already.",
                "Add --resume to go on with it, or choose another output.",
            )
        output = outputs.begin(options.output, manifest.entries)
        output.lay_out([item.name for item in items])
        todo = [item for item in items if not _is_done(item, manifest, output, options)]
        with Display(sys.stderr, told=told) as display:
            display.expect(len(items), len(items) - len(todo))
            if todo:
                connection = connected(options.connect, display)
                check_presets(connection, (item.params.preset for item in todo))
                monitor, backend = blender_session.monitor(), connection.target
                runner = Runner(
                    *(monitor, backend, manifest, output, display), jobs=options.jobs, fail_fast=options.fail_fast
                )
                runner.run(todo)
    conclude(items, manifest, options.output.path, done="made", remedy=None, as_json=options.as_json)


def _is_done(item: Item, manifest: Manifest, output: Output, options: BatchOptions) -> bool:
    entry = manifest.entries.get(item.name)
    if entry is None or entry.digest != item.digest():
        return False
    if entry.state == "finished":
        return output.has(entry)
    return entry.state == "failed" and not options.retry_failed
