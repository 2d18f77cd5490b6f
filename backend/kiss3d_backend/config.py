"""Where the backend keeps its things, and how long it waits for what."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
from attrs import frozen

from kiss3d_protocol.errors import DataDirectoryUnusable

DATA_DIR_VARIABLE = "KISS3D_DATA_DIR"
DEFAULT_RECIPES = "kiss3d_backend.recipes:WorkerRecipes"


def default_data_dir() -> Path:
    """``$KISS3D_DATA_DIR``, or the platform's folder for a user's data."""
    chosen = os.environ.get(DATA_DIR_VARIABLE)
    return Path(chosen) if chosen else platformdirs.user_data_path("kiss3d", appauthor=False)


@frozen
class DataDir:
    """The layout of the data directory."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "jobs.sqlite3"

    @property
    def clients(self) -> Path:
        """The allow list."""
        return self.root / "clients.sqlite3"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def reports(self) -> Path:
        """One folder for each job, with the account of its run."""
        return self.root / "jobs"

    @property
    def checkpoints(self) -> Path:
        """Results of stages, for jobs that are run again."""
        return self.root / "checkpoints"

    @property
    def backends(self) -> Path:
        """One lock file for each running backend."""
        return self.root / "backends"

    @property
    def reserve(self) -> Path:
        """Room that is given up when the disk is full."""
        return self.root / "reserve"

    @property
    def log(self) -> Path:
        return self.root / "logs" / "backend.log"

    def create(self) -> DataDir:
        """Makes the folders, readable by their owner only. Raises :class:`DataDirectoryUnusable`."""
        try:
            for folder in (self.root, self.artifacts, self.backends, self.log.parent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe = self.root / f".write-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise DataDirectoryUnusable(f"The data directory {self.root} cannot be used ({error.strerror}).") from error
        return self


@frozen
class WorkerLimits:
    """How patient the supervisor is, in seconds.

    ``start``: from the start of the process to its first word. ``heartbeat``: silence of the process.
    ``silence``: a job without any event. ``cancel``: from a cancel to the end of the job; then the process is
    killed. ``stop``: a polite end of the process.
    """

    start: float = 120.0
    heartbeat: float = 30.0
    silence: float = 180.0
    cancel: float = 2.0
    stop: float = 2.0
