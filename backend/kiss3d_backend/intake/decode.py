"""Decodes pictures from outside, in the worker: a decoder that dies takes nothing with it but the job.

Pillow gets only what :mod:`kiss3d_backend.intake.container` left of a file, and only the one decoder for its format.
ICC profiles are ignored: values are taken as sRGB.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kiss3d_backend.intake.container import damaged, truncated
from kiss3d_backend.intake.picture import check_size, checked_container
from kiss3d_backend.pipeline.types import Picture
from kiss3d_protocol.errors import PictureError, PictureTransparent

LONGEST_DECODED_SIDE = 2048
"""What is larger is reduced to this long side while it is read: no recipe needs more."""

_STRIP_ROWS = 512
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow's own limit is one for the whole process and warns before it refuses; ours is checked here.
Image.MAX_IMAGE_PIXELS = None


def read_picture(data: bytes, on_read: Callable[[float], None] | None = None) -> Picture:
    """Decodes a picture file to upright RGBA of at most :data:`LONGEST_DECODED_SIDE` on its long side.

    ``on_read`` is told now and then which part of the file (0 to 1) has been read; what it raises ends the
    reading. Of an animation the first frame counts. Raises what :func:`inspect_picture` raises, and
    :class:`PictureTransparent` when no pixel can be seen.
    """
    image, orientation = _decoded(data, on_read, LONGEST_DECODED_SIDE)
    small = _reduced_rgba(image)
    if orientation in _ORIENTATIONS:
        small = small.transpose(_ORIENTATIONS[orientation])
    rgba = np.array(small)
    if not rgba[..., 3].any():
        raise PictureTransparent("Every pixel of the picture is transparent.")
    return Picture(rgba)


def read_pixels(data: bytes) -> NDArray[np.uint8]:
    """Decodes a picture file to (H, W, 3) RGB as it is stored. Raises what :func:`inspect_picture` raises."""
    image, _ = _decoded(data, None, None)
    return np.asarray(image.convert("RGB"))


def _decoded(data: bytes, on_read: Callable[[float], None] | None, longest: int | None) -> tuple[Image.Image, int]:
    """The loaded picture and its orientation. ``longest``: a JPEG may be decoded smaller, down to this long side."""
    container = checked_container(data)
    file = _WatchedBytes(container.for_decoder(data), on_read)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(file, formats=(container.format,))
            if image.format != container.format:
                raise damaged()
            # The first frame of a GIF may be larger than the file's own size.
            check_size(container.format, *image.size)
            if longest is not None and image.format == "JPEG":
                image.draft(None, (longest, longest))
            image.load()
        except (MemoryError, PictureError):
            raise
        except _DECODER_ERRORS as error:
            _raise_for(error)
    # Pillow turns a TIFF by itself.
    return image, 1 if container.format == "TIFF" else container.orientation


# What Pillow's decoders raise on damaged files, besides OSError.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
)


class _WatchedBytes(io.BytesIO):
    """A file in memory that tells how far it has been read."""

    def __init__(self, data: bytes, on_read: Callable[[float], None] | None) -> None:
        super().__init__(data)
        self._size = max(len(data), 1)
        self._on_read = on_read
        self._told = 0.0

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        part = self.tell() / self._size
        if self._on_read is not None and part > self._told + 0.02:
            self._told = part
            self._on_read(part)
        return chunk


def _raise_for(error: Exception) -> NoReturn:
    if "truncat" in str(error).lower() or isinstance(error, (EOFError, struct.error)):
        raise truncated() from error
    raise damaged() from error


def _reduced_rgba(image: Image.Image) -> Image.Image:
    """The loaded picture as RGBA. A large one is converted and reduced strip by strip, to hold little at once."""
    factor = max(max(image.size) // LONGEST_DECODED_SIDE, 1)
    to_rgba = _converter(image)
    if factor == 1:
        reduced = to_rgba(image)
    else:
        width, height = image.size
        reduced = Image.new("RGBA", (-(-width // factor), -(-height // factor)))
        rows = max(_STRIP_ROWS // factor, 1) * factor
        for top in range(0, height, rows):
            strip = image.crop((0, top, width, min(top + rows, height)))
            averaged = to_rgba(strip).convert("RGBa").reduce(factor).convert("RGBA")
            reduced.paste(averaged, (0, top // factor))
    longest = max(reduced.size)
    if longest <= LONGEST_DECODED_SIDE:
        return reduced
    scale = LONGEST_DECODED_SIDE / longest
    size = (max(round(reduced.width * scale), 1), max(round(reduced.height * scale), 1))
    # Premultiplied, or the unseen colours of transparent pixels would show at the edge of the object.
    return reduced.convert("RGBa").resize(size, Image.Resampling.HAMMING).convert("RGBA")


def _converter(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """How a part of this picture becomes RGBA. Deep grey is scaled to 8 bits; Pillow alone would clip it."""
    if image.mode.startswith(("I", "F")):
        low, high = _deep_range(image)
        return lambda part: _scaled_grey(part, low, high)
    if image.mode in ("RGBA", "RGBX", "P", "PA", "LA", "La", "RGBa", "L", "1", "RGB"):
        return lambda part: part.convert("RGBA")
    return lambda part: part.convert("RGB").convert("RGBA")


def _deep_range(image: Image.Image) -> tuple[float, float]:
    """Which values are black and white in a grey picture of more than 8 bits."""
    if image.mode.startswith("I;16"):
        return 0.0, 65535.0
    extrema = image.getextrema()
    least, most = float(extrema[0]), float(extrema[1])  # pyright: ignore[reportArgumentType]
    if not (math.isfinite(least) and math.isfinite(most)):
        return 0.0, 1.0
    for white in (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0):
        if least >= 0.0 and most <= white:
            return 0.0, white
    return least, most if most > least else least + 1.0 + abs(least)


def _scaled_grey(part: Image.Image, low: float, high: float) -> Image.Image:
    # Floats of a file may be anything, and as far apart as floats can be.
    with np.errstate(invalid="ignore"):
        values = np.nan_to_num(np.asarray(part).astype(np.float64), nan=low, posinf=high, neginf=low)
    grey = np.clip((values - low) * (255.0 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGBA")
