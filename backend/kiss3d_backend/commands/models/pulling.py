"""``kiss3d models pull``: gets what presets and entries lack."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from attrs import asdict

from kiss3d_backend.commands.models.byte_display import ByteDisplay
from kiss3d_backend.commands.models.stopping import stopped_by_user
from kiss3d_backend.models.pull import PullProgress, PullReport, pull
from kiss3d_backend.models.store import ModelStore
from kiss3d_protocol.amounts import amount_text
from kiss3d_protocol.errors import JobCancelled


def run_pull(names: Sequence[str], *, data_dir: Path, as_json: bool, until_stdin_closes: bool) -> bool:
    """Shows how far it is, and what it did; False when the user stopped it. What has come stays.

    With JSON, a line for each word: ``progress``, and at last ``finished`` or ``cancelled`` (an error's line is the
    program's own business). These are the fields of the protocol's messages about pulls. Raises what
    :func:`kiss3d_backend.models.pull.pull` raises.
    """
    store = ModelStore(data_dir)
    with stopped_by_user(until_stdin_closes=until_stdin_closes) as stop, ByteDisplay(silent=as_json) as display:

        def tell(progress: PullProgress) -> None:
            counted = progress.step != "describe"
            if as_json:
                line = {
                    "step": progress.step,
                    "entry": progress.entry,
                    "file": progress.file,
                    "bytes": progress.done if counted else 0,
                    "total": progress.total if counted else 0,
                    "bytes_per_second": progress.bytes_per_second,
                    "eta_seconds": progress.eta_seconds,
                }
                _say("progress", line)
            else:
                display.show(progress.step, f"{progress.entry}/{progress.file}", progress.done, progress.total)

        try:
            report = pull(names, store, tell, stop)
        except JobCancelled as cancelled:
            if as_json:
                _say("cancelled", {})
            else:
                print(cancelled.message)
            return False
    if as_json:
        _say("finished", asdict(report))
    else:
        _tell(report)
    return True


def _say(event: str, fields: dict[str, object]) -> None:
    print(json.dumps({"event": event, **fields}), flush=True)


def _tell(report: PullReport) -> None:
    if not report.entries:
        print("This needs no model files.")
        return
    count = len(report.downloaded)
    got = f"{count} file{'' if count == 1 else 's'} downloaded, {amount_text(report.received)}"
    print(f"{', '.join(report.entries)}: complete ({got} in {report.seconds:.0f} s).")
