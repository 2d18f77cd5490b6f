"""Fixtures: a small picture, and submits of it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image, ImageDraw

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
    def make(seed: int = 0, job: str | None = None, preset: str = "draft", **params: Any) -> tuple[Submit, bytes]:
        writer = BlobWriter()
        image = writer.image(png, "image/png", 96, 96)
        return Submit(job or new_job_id(), "disc.png", GenerateParams(preset, seed, **params), image), png

    return make
