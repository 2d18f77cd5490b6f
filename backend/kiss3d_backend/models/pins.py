"""What this machine has learned about its model files: their hashes, from the first time on.

Where the catalogue knows no hash, the first download is trusted and its hash pinned here; anything else under the same
name later is an error. The file also says which files were hashed already, so that gigabytes are read once only.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from attrs import asdict, evolve, field, frozen, validators
from filelock import FileLock

from kiss3d_backend.models.catalogue import Entry, ModelFile
from kiss3d_protocol.errors import ModelFileCorrupt

Trust = Literal["catalogue", "first use"]
"""Where the right hash is known from."""

FORMAT = 1
LOCK_SECONDS = 30.0
PATIENCE = 25 if os.name == "nt" else 0
T = TypeVar("T")
_HUB_KEY = re.compile(r"([^@:]+/[^@:]+)@([^@:]+):([^:]+)")


@frozen
class Pin:
    """What is known about one file.

    ``sha256``: of its content, empty while only a download has begun. ``size``: bytes. ``etag``, ``commit``: as the
    hub named them, or empty. ``trust``: what the hash was compared with. ``at``: when, ISO 8601 in UTC.
    ``mtime_ns``: of the file when it was hashed. ``ours``: we put it there, so that we may delete it. ``place``: where
    it lies when that is not the cache.
    """

    sha256: str = field(validator=validators.instance_of(str))
    size: int = field(validator=validators.instance_of(int))
    etag: str = field(default="", validator=validators.instance_of(str))
    commit: str = field(default="", validator=validators.instance_of(str))
    trust: Trust = "first use"
    at: str = field(default="", validator=validators.instance_of(str))
    mtime_ns: int = field(default=0, validator=validators.instance_of(int))
    ours: bool = False
    place: str = field(default="", validator=validators.instance_of(str))

    def describes(self, path: Path) -> bool:
        """Whether the file at ``path`` is the one that was hashed, going by size and time of change."""
        try:
            status = path.stat()
        except OSError:
            return False
        return bool(self.sha256) and status.st_size == self.size and status.st_mtime_ns == self.mtime_ns

    def seen_at(self, path: Path) -> Pin:
        """The same with the time of now and the file's own size and time of change."""
        status = path.stat()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return evolve(self, size=status.st_size, mtime_ns=status.st_mtime_ns, at=now)


def pin_key(entry: Entry, file: ModelFile) -> str:
    """Under what name a file's hash is kept: where it comes from."""
    if file.local is not None:
        return f"local:{file.local.absolute()}"
    return f"{entry.repository}@{entry.revision}:{file.path}"


def place_of_key(key: str) -> tuple[str, str, str] | None:
    """Repository, revision and path of a hub file's key; None for the others."""
    found = _HUB_KEY.fullmatch(key)
    return (found[1], found[2], found[3]) if found else None


def converted_key(entry: Entry, file: ModelFile) -> str:
    """Under what name the hash of a conversion's result is kept."""
    return f"converted:{entry.name}/{file.loaded_name}"


class Pins:
    """``pins.json``: read whole, changed under a lock, replaced in one step. Several processes may share it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> Mapping[str, Pin]:
        """Every pin by key. Raises :class:`ModelFileCorrupt` when the file is damaged."""
        try:
            text = _patiently(lambda: self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeError) as error:
            raise self._damaged(str(error)) from error
        try:
            document: Any = json.loads(text)
            if document["format"] != FORMAT:
                raise self._damaged(f"its format is {document['format']!r}")
            pins = cast("dict[str, dict[str, Any]]", document["pins"])
            return {key: Pin(**values) for key, values in pins.items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._damaged(f"{type(error).__name__}: {error}") from error

    def get(self, key: str) -> Pin | None:
        return self.all().get(key)

    def put(self, key: str, pin: Pin) -> None:
        def add(pins: dict[str, Pin]) -> None:
            pins[key] = pin

        self._change(add)

    def remove(self, key: str) -> None:
        def drop(pins: dict[str, Pin]) -> None:
            pins.pop(key, None)

        self._change(drop)

    def _change(self, change: Callable[[dict[str, Pin]], None]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(self._path.with_suffix(".lock"), timeout=LOCK_SECONDS):
            pins = dict(self.all())
            change(pins)
            document = {"format": FORMAT, "pins": {key: asdict(pin) for key, pin in sorted(pins.items())}}
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".pins-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(document, file, indent=1)
                    file.flush()
                    os.fsync(file.fileno())
                _patiently(lambda: Path(name).replace(self._path))
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    def _damaged(self, reason: str) -> ModelFileCorrupt:
        text = f"{self._path}, which holds the hashes of the model files, cannot be used ({reason})."
        return ModelFileCorrupt(text, "Delete it; the files are then hashed and trusted anew.")


def _patiently(action: Callable[[], T]) -> T:
    """On Windows a file that another process is just reading cannot be replaced, nor read while it is replaced."""
    for _ in range(PATIENCE):
        try:
            return action()
        except PermissionError:
            time.sleep(0.02)
    return action()
