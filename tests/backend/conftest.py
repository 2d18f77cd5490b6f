from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.submits import make_submit, png

from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.book import JobBook
from kiss3d_backend.jobs.store import JobStore

__all__ = ["make_submit", "png"]


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir(tmp_path / "data").create()


@pytest.fixture
def store(data_dir: DataDir):
    store = JobStore(data_dir.database)
    yield store
    store.close()


@pytest.fixture
def book(store: JobStore, data_dir: DataDir) -> JobBook:
    return JobBook(store, Artifacts(data_dir.artifacts), "backend-a")
