"""``import``: finished jobs of a backend into one .blend or into a folder of files; what is there already stays."""

from __future__ import annotations

import sys

from kiss3d_protocol.batch.manifest import Manifest
from kiss3d_protocol.messages import MAX_LISTED_JOBS

from .. import blender_session
from ..translations.errors import told
from ..waiting import wait_for_jobs
from . import outputs
from .backend import connected
from .conclusion import conclude
from .display import Display
from .items import Item, items_of_jobs
from .options import ImportOptions
from .parser import JOBS_AT_ONCE
from .runner import Output, Runner
from .selection import jobs_by_id, newest_jobs


def run_import(options: ImportOptions) -> None:
    """Imports what is not there yet. Raises :class:`JobUnknown` or :class:`JobWithoutResult` for an id before anything
    is imported, and :class:`BatchIncomplete` when some have not come."""
    monitor = blender_session.monitor()
    with Display(sys.stderr, told=told) as display:
        connection = connected(options.connect, display)
        there = wait_for_jobs(monitor, connection, MAX_LISTED_JOBS)
        jobs = jobs_by_id(there, options.ids) if options.ids else newest_jobs(there, options.since, options.last)
        if not jobs:
            display.note("There is no finished job to import")
        with Manifest(outputs.manifest_of(options.output)) as manifest:
            output = outputs.begin(options.output, manifest.entries)
            taken = {entry.name: entry.job for entry in manifest.entries.values()}
            items = items_of_jobs(jobs, taken, options.output.size)
            todo = [item for item in items if not _is_there(item, manifest, output)]
            output.lay_out([item.name for item in todo])
            display.expect(len(items), len(items) - len(todo))
            Runner(monitor, connection.target, manifest, output, display, jobs=JOBS_AT_ONCE).run(todo)
    remedy = "Run the same line again: what is there already is not imported twice."
    conclude(items, manifest, options.output.path, done="imported", remedy=remedy, as_json=options.as_json)


def _is_there(item: Item, manifest: Manifest, output: Output) -> bool:
    entry = manifest.entries.get(item.name)
    return entry is not None and entry.job == item.job and entry.state == "finished" and output.has(entry)
