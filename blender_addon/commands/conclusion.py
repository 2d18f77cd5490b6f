"""What is said when a batch or an import has ended (no bpy)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from kiss3d_protocol.batch.manifest import Manifest
from kiss3d_protocol.errors import BatchIncomplete

from .items import Item


def conclude(
    items: Sequence[Item], manifest: Manifest, output: Path, *, done: str, remedy: str | None, as_json: bool
) -> None:
    """Says it on stdout; ``done``: what was done with each. Raises :class:`BatchIncomplete` when one has no result."""
    entries = [manifest.entries[item.name] for item in items]
    failed = [entry for entry in entries if entry.state != "finished"]
    made = len(entries) - len(failed)
    if as_json:
        answer = {
            "event": "batch",
            "results": made,
            "failed": [{"name": entry.name, **entry.error} for entry in failed],
            "manifest": str(manifest.path),
            "output": str(output),
        }
        print(json.dumps(answer), flush=True)
    else:
        print(f"{output}: {made} of {len(entries)} {done}; see {manifest.path}", flush=True)
    if failed:
        first = failed[0].error.get("message", "")
        raise BatchIncomplete(
            f"{len(failed)} of {len(entries)} have no result, first '{failed[0].name}': {first}", remedy
        )
