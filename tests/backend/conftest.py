from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from kiss3d_backend.config import DataDir
from kiss3d_backend.jobs.artifacts import Artifacts
from kiss3d_backend.jobs.book import JobBook
from kiss3d_backend.jobs.store import JobStore
from kiss3d_protocol.messages import Submit, new_job_id
from kiss3d_protocol.params import GenerateParams
from kiss3d_protocol.payloads import BlobWriter

SubmitMaker = Callable[..., tuple[Submit, bytes]]


@pytest.fixture(scope="session")
def png() -> bytes:
    """A disc on a transparent ground."""
    image = Image.new("RGBA", (96, 96), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((16, 16, 80, 80), fill=(200, 60, 40, 255))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def make_submit(png: bytes) -> SubmitMaker:
    def make(seed: int = 0, job: str | None = None, preset: str = "draft") -> tuple[Submit, bytes]:
        writer = BlobWriter()
        image = writer.image(png, "image/png", 96, 96)
        return Submit(job or new_job_id(), "disc.png", GenerateParams(preset, seed), image), png

    return make


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
