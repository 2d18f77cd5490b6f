"""The files of jobs as a worker on another machine reaches them: through the desk beside the backend's disk.

So machines need share no disk, and the order stays that of one machine: what an event names is on the backend's disk
before the event is told.
"""

from __future__ import annotations

import logging
from typing import Any

from kiss3d_backend.executor.over_ray.api import ray_api
from kiss3d_backend.executor.over_ray.file_desk import Answer
from kiss3d_backend.pipeline.checkpoints import FrozenCheckpoints
from kiss3d_backend.reports.record import RunRecord, to_json
from kiss3d_backend.worker.job_files import JobFiles
from kiss3d_protocol.errors import DataDirectoryUnusable, Kiss3DError, error_from_wire
from kiss3d_protocol.payloads import Blob

_log = logging.getLogger(__name__)

DESK_SECONDS = 120.0
"""After so long a desk that does not answer counts as gone: hundreds of megabytes have come through by then."""


def far_files(desk: Any) -> JobFiles:
    """Those behind the handle of a :class:`kiss3d_backend.executor.over_ray.file_desk.FileDesk`."""
    return JobFiles(_FarBlobs(desk), FrozenCheckpoints(_FarCheckpoints(desk)), _FarReports(desk))


def _ask(method: Any, *arguments: object) -> Any:
    """Raises the error that the desk met, and :class:`DataDirectoryUnusable` when it cannot be reached."""
    ray = ray_api()
    try:
        answer: Answer = ray.get(method.remote(*arguments), timeout=DESK_SECONDS)
    except ray.exceptions.RayError as error:
        _log.error("the backend's machine cannot be reached: %s", error)
        raise DataDirectoryUnusable("The machine of the backend, where jobs are kept, cannot be reached.") from error
    if answer.error is not None:
        raise error_from_wire(*answer.error)
    return answer.value


class _FarBlobs:
    """As :class:`kiss3d_backend.jobs.artifacts.Artifacts`."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk

    def put(self, blob: Blob) -> str:
        return _ask(self._desk.put_blob, bytes(blob))

    def read(self, sha256: str) -> bytes:
        return _ask(self._desk.read_blob, sha256)


class _FarCheckpoints:
    """As :class:`kiss3d_backend.pipeline.checkpoints.CheckpointFolder`."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk

    def read(self, key: str) -> bytes | None:
        try:
            return _ask(self._desk.read_checkpoint, key)
        except Kiss3DError as error:
            _log.warning("checkpoint %s cannot be read: %s", key[:12], error)
            return None

    def write(self, key: str, data: bytes) -> None:
        try:
            _ask(self._desk.write_checkpoint, key, data)
        except Kiss3DError as error:
            _log.warning("checkpoint %s cannot be kept: %s", key[:12], error)


class _FarReports:
    """As :class:`kiss3d_backend.reports.folder.ReportFolder`."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk

    def save_run(self, job: str, run: RunRecord) -> None:
        self._save(self._desk.save_run, job, to_json(run))

    def save_picture(self, job: str, name: str, data: bytes) -> None:
        self._save(self._desk.save_picture, job, name, data)

    def _save(self, method: Any, *arguments: object) -> None:
        try:
            _ask(method, *arguments)
        except Kiss3DError as error:
            raise OSError(str(error)) from error
