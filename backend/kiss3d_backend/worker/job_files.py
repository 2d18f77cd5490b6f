"""Where a worker's jobs read and write: folders of the broker's machine, reached directly or over a network."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.artifacts import Artifacts, Blobs
from kiss3d_backend.pipeline.checkpoints import Checkpoints, FolderCheckpoints
from kiss3d_backend.reports.folder import ReportFolder
from kiss3d_backend.reports.record import RunRecord


class RunNotes(Protocol):
    """Takes the account of a run while it goes on. Both raise OSError when it cannot be kept."""

    def save_run(self, job: str, run: RunRecord) -> None:
        """How far it is; the next note replaces it."""

    def save_picture(self, job: str, name: str, data: bytes) -> None:
        """A picture that belongs to it."""


@frozen
class JobFiles:
    """``artifacts``: inputs and results. ``checkpoints``: results of stages. ``reports``: the account of each run."""

    artifacts: Blobs
    checkpoints: Checkpoints
    reports: RunNotes


def folder_files(data_dir: DataDir) -> JobFiles:
    """Those of this machine."""
    return JobFiles(
        Artifacts(data_dir.artifacts), FolderCheckpoints(data_dir.checkpoints), ReportFolder(data_dir.reports)
    )
