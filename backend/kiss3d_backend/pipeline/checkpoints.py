"""Results of stages, kept so that a job that is run again, or a variation of it, does not make them again."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from pathlib import Path
from typing import Any, Protocol

from kiss3d_backend import __version__
from kiss3d_backend.pipeline.snapshot import SnapshotUnreadable, freeze, thaw
from kiss3d_backend.whole_file import write_whole

_log = logging.getLogger(__name__)

DEFAULT_LIMIT = 4 * 2**30
_FORMAT = "2"
"""Of what the runner keeps of a stage: another one must not be found under the old keys."""


class Checkpoints(Protocol):
    """Where results are kept, by the key of what made them."""

    def load(self, key: str) -> tuple[Any] | None:
        """The result in a tuple of one, or None when there is none."""

    def save(self, key: str, value: object) -> None:
        """Keeps a result; one that cannot be stored is not kept, and the job goes on."""


class NoCheckpoints:
    """Keeps nothing."""

    def load(self, key: str) -> tuple[Any] | None:
        return None

    def save(self, key: str, value: object) -> None: ...


class CheckpointData(Protocol):
    """Where the bytes of results are kept."""

    def read(self, key: str) -> bytes | None:
        """None when there are none, or they cannot be read."""

    def write(self, key: str, data: bytes) -> None:
        """Keeps them; what cannot be stored is not kept."""


class FrozenCheckpoints:
    """The :class:`Checkpoints` whose bytes are kept in ``data``."""

    def __init__(self, data: CheckpointData) -> None:
        self._data = data

    def load(self, key: str) -> tuple[Any] | None:
        data = self._data.read(key)
        if data is None:
            return None
        try:
            return (thaw(data),)
        except SnapshotUnreadable as error:
            _log.warning("checkpoint %s cannot be read: %s", key[:12], error)
            return None

    def save(self, key: str, value: object) -> None:
        self._data.write(key, freeze(value))


class CheckpointFolder:
    """One file a result; the ones that were not used for longest go when the folder grows over ``limit`` bytes.

    Several processes may use the folder at once.
    """

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._folder = folder
        self._limit = limit

    def read(self, key: str) -> bytes | None:
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("checkpoint %s cannot be read: %s", key[:12], error)
            return None
        return data

    def write(self, key: str, data: bytes) -> None:
        try:
            write_whole(self._path(key), data)
            self._prune()
        except OSError as error:
            _log.warning("checkpoint %s cannot be kept: %s", key[:12], error)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}.safetensors"

    def _prune(self) -> None:
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.glob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                found.append((about.st_mtime, about.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._limit:
                return
            path.unlink(missing_ok=True)
            total -= size


class FolderCheckpoints(FrozenCheckpoints):
    """Those of this machine; see :class:`CheckpointFolder`."""

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        super().__init__(CheckpointFolder(folder, limit))


def checkpoint_key(stage: str, fingerprint: str, seed: int, value: object) -> str:
    """A sha256 of all that shapes a stage's result: the version, the stage and its settings, the seed, the input."""
    digest = hashlib.sha256(freeze(value)).hexdigest()
    return hashlib.sha256("\0".join((__version__, _FORMAT, stage, fingerprint, str(seed), digest)).encode()).hexdigest()
