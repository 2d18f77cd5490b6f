"""Small pictures for a report, as WebP."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kiss3d_backend.mesh.render import render_views
from kiss3d_backend.mesh.types import Mesh

PREVIEW_SIDE = 256
BUNDLE_SIDE = 768
"""Pixels of the longer side, at most."""

FRAMES = 8
FRAME_SIDE = 96
ELEVATION = 15.0
_QUALITY = 80


def small_picture(pixels: NDArray[np.uint8], side: int) -> tuple[bytes, tuple[int, int]]:
    """A WebP of (H, W, 3) or (H, W, 4) uint8 no larger than ``side``, and its width and height."""
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return _webp(image), image.size


def turntable(mesh: Mesh) -> tuple[bytes, tuple[int, int], int]:
    """A mesh once around, frames side by side: a WebP, its width and height, and the number of frames."""
    azimuths = [360.0 * frame / FRAMES for frame in range(FRAMES)]
    strip = Image.fromarray(np.concatenate(list(render_views(mesh, FRAME_SIDE, azimuths, ELEVATION)), axis=1))
    return _webp(strip), strip.size, FRAMES


def _webp(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=2)
    return buffer.getvalue()
