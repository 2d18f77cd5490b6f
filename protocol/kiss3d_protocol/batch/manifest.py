"""The manifest (JSON lines): what has become of each row of a batch, one line for each change, the last one counts.

A line is written before the job that it tells of is submitted, and after the result that it tells of is on the disk.
So a batch that is killed at any moment knows at its next start which jobs may be with the backend already.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO

from attrs import asdict, evolve, field, frozen

from kiss3d_protocol.batch.lock import HeldLock
from kiss3d_protocol.errors import BatchInvalid, OutputUnwritable

MANIFEST = "manifest.jsonl"
State = Literal["submitted", "finished", "failed", "cancelled"]


@frozen(kw_only=True)
class Entry:
    """One line. ``digest``: of all that the result depends on. ``seconds``: of the job. ``error``: its code, message
    and remedy. ``output``, ``picture``: relative to the folder."""

    name: str
    digest: str
    state: State
    job: str = ""
    output: str = ""
    picture: str = ""
    seconds: float | None = None
    triangles: int | None = None
    error: Mapping[str, str] = field(factory=dict[str, str])
    time: float = 0.0


class Manifest:
    """A context manager. ``path``: the file, whose folder must exist; ``entries``: the newest line of each name.

    Raises :class:`BatchInvalid` for a file that is no manifest, and when another batch writes to it now,
    :class:`OutputUnwritable` when it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}
        try:
            self._lock = HeldLock(path.with_name(f".{path.name}.lock"))
        except BlockingIOError as error:
            raise BatchInvalid(
                f"Another batch writes to '{path.parent}' now.", "Wait for its end, or choose another folder."
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            whole = self._read() if self.path.is_file() else 0
            self._file: TextIO = self.path.open("a", encoding="utf-8", newline="\n")
            # A line that was being written when the power went is taken back, so that the next one is whole.
            self._file.truncate(whole)
        except (OSError, BatchInvalid) as error:
            self._lock.release()
            if isinstance(error, BatchInvalid):
                raise
            raise self._unwritable(error) from error

    def write(self, entry: Entry) -> None:
        """Adds a line that is on the disk when this returns. Raises :class:`OutputUnwritable`."""
        entry = evolve(entry, time=round(time.time(), 3))
        self.entries[entry.name] = entry
        told = {name: value for name, value in asdict(entry).items() if value not in ("", None, {})}
        try:
            self._file.write(json.dumps(told) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._lock.release()

    def _unwritable(self, error: OSError) -> OutputUnwritable:
        return OutputUnwritable(f"'{self.path}' cannot be written ({error.strerror}).")

    def _read(self) -> int:
        """Fills the entries; returns how many bytes of the file are whole lines."""
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:whole].splitlines(), start=1):
            try:
                fields: Any = json.loads(line)
                entry = Entry(**fields)
            except (ValueError, TypeError) as error:
                raise BatchInvalid(
                    f"Line {number} of '{self.path}' is not of a batch.", "Choose another output folder."
                ) from error
            self.entries[entry.name] = entry
        return whole
