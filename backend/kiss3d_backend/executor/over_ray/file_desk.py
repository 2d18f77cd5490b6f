"""The desk beside the backend's disk: an actor on the backend's own machine, where all workers get and put files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen

from kiss3d_backend.config import DataDir
from kiss3d_backend.disk import disk_error
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.pipeline.checkpoints import CheckpointFolder
from kiss3d_backend.reports.folder import ReportFolder
from kiss3d_backend.reports.record import run_from_json
from kiss3d_protocol.errors import Kiss3DError


@frozen
class Answer:
    """``value``, or an ``error`` as it goes over a wire: code, message, remedy."""

    value: Any = None
    error: tuple[str, str, str] | None = None


class FileDesk:
    """Each method does what its name says, once or again with the same result. ``root``: the data directory."""

    def __init__(self, root: str) -> None:
        data = DataDir(Path(root))
        self._artifacts = Artifacts(data.artifacts)
        self._checkpoints = CheckpointFolder(data.checkpoints)
        self._reports = ReportFolder(data.reports)

    def put_blob(self, data: bytes) -> Answer:
        return _answer(lambda: self._artifacts.put(data))

    def read_blob(self, sha256: str) -> Answer:
        return _answer(lambda: self._artifacts.read(sha256))

    def read_checkpoint(self, key: str) -> Answer:
        return _answer(lambda: self._checkpoints.read(_plain(key)))

    def write_checkpoint(self, key: str, data: bytes) -> Answer:
        return _answer(lambda: self._checkpoints.write(_plain(key), data))

    def save_run(self, job: str, run: str) -> Answer:
        return _answer(lambda: self._reports.save_run(job, run_from_json(run)))

    def save_picture(self, job: str, name: str, data: bytes) -> Answer:
        return _answer(lambda: self._reports.save_picture(job, _plain(name), data))


def _answer(act: Callable[[], Any]) -> Answer:
    try:
        return Answer(act())
    except Kiss3DError as error:
        return Answer(error=(error.code, error.message, error.remedy))
    except OSError as error:
        named = disk_error(error)
        return Answer(error=(named.code, named.message, named.remedy))


def _plain(name: str) -> str:
    """A name that stays in its folder. Raises ValueError for others."""
    if name != Path(name).name or name in ("", ".", ".."):
        raise ValueError(f"not a plain name: {name!r:.80}")
    return name
