"""Pictures from outside: looked at by their header, or read in full.

Only Pillow is needed to look at a header, so that the broker can refuse a bad picture at once.

The limits are ours, not Pillow's: at least :data:`SMALLEST_SIDE` pixels on either side and at most
:data:`MOST_PIXELS` in all (:data:`MOST_WEBP_PIXELS` for WebP), checked before anything is decoded. Only the formats of
:data:`FORMATS` are tried, so that no rarely used decoder is reached by a file that only calls itself a picture. ICC
profiles are ignored: values are taken as sRGB.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import attrs
from PIL import Image, UnidentifiedImageError

from kiss3d_protocol.errors import (
    PictureError,
    PictureTooLarge,
    PictureTooSmall,
    PictureTransparent,
    PictureTruncated,
    PictureUnreadable,
)

if TYPE_CHECKING:
    from kiss3d_backend.pipeline.types import Picture

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
SMALLEST_SIDE = 32
MOST_PIXELS = 100_000_000
MOST_WEBP_PIXELS = 50_000_000
"""Less, because libwebp decodes in one piece and Pillow holds four copies meanwhile: 16 bytes per pixel."""
LONGEST_DECODED_SIDE = 2048
"""What is larger is reduced to this long side while it is read: no recipe needs more."""

_STRIP_ROWS = 512
_ORIENTATION_TAG = 0x0112
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Pillow's own limit is one for the whole process and warns before it refuses; ours is checked in _open.
Image.MAX_IMAGE_PIXELS = None


@attrs.frozen
class PictureInfo:
    """What the header says. ``format``: one of :data:`FORMATS`. ``width``, ``height``: pixels as stored."""

    format: str
    width: int
    height: int


def inspect_picture(data: bytes) -> PictureInfo:
    """What the header of a picture file says, without decoding it.

    Raises :class:`PictureUnreadable`, :class:`PictureTooSmall`, :class:`PictureTooLarge`, and
    :class:`PictureTruncated` where the structure of the file already shows that its end is missing.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _open(io.BytesIO(data), data)
    if _ends_early(data):
        raise _truncated()
    return PictureInfo(image.format or "", image.width, image.height)


def read_picture(data: bytes, on_read: Callable[[float], None] | None = None) -> Picture:
    """Decodes a picture file to upright RGBA of at most :data:`LONGEST_DECODED_SIDE` on its long side.

    ``on_read`` is told now and then which part of the file (0 to 1) has been read; what it raises ends the
    reading. Of an animation the first frame counts. Raises what :func:`inspect_picture` raises, and
    :class:`PictureTransparent` when no pixel can be seen.
    """
    import numpy as np

    from kiss3d_backend.pipeline.types import Picture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _open(_WatchedBytes(data, on_read), data)
        if image.format == "JPEG":
            image.draft(None, (LONGEST_DECODED_SIDE, LONGEST_DECODED_SIDE))
        try:
            image.load()
        except MemoryError:
            raise
        except _DECODER_ERRORS as error:
            _raise_for(error, data)
        # Not before: for a PNG, Pillow reads all of the file to find it, and hides what is wrong there.
        orientation = _orientation(image)
        small = _reduced_rgba(image)
        if orientation in _ORIENTATIONS:
            small = small.transpose(_ORIENTATIONS[orientation])
    rgba = np.array(small)
    if not rgba[..., 3].any():
        raise PictureTransparent("Every pixel of the picture is transparent.")
    return Picture(rgba)


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


def _open(file: io.BytesIO, data: bytes) -> Image.Image:
    if not data:
        raise PictureUnreadable("The picture file is empty.")
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        if _ends_early(data):
            raise _truncated() from error
        raise PictureUnreadable("The file is not a picture in a format that Kiss3D reads.") from error
    except _DECODER_ERRORS as error:
        _raise_for(error, data)
    width, height = image.size
    if min(width, height) < SMALLEST_SIDE:
        raise PictureTooSmall(
            f"The picture has {width} x {height} pixels; it needs at least {SMALLEST_SIDE} on each side."
        )
    most = MOST_WEBP_PIXELS if image.format == "WEBP" else MOST_PIXELS
    if width * height > most:
        raise PictureTooLarge(
            f"The picture has {width} x {height} pixels, {width * height / 1e6:.0f} megapixels in all; "
            f"the limit is {most // 1_000_000} megapixels."
        )
    return image


def _truncated() -> PictureTruncated:
    return PictureTruncated("The picture file ends too early: a part of it is missing.")


def _raise_for(error: Exception, data: bytes) -> NoReturn:
    if isinstance(error, PictureError):
        raise error
    text = str(error).lower()
    if "truncat" in text or isinstance(error, (EOFError, struct.error)) or _ends_early(data):
        raise _truncated() from error
    raise PictureUnreadable("The picture file is damaged.") from error


def _ends_early(data: bytes) -> bool:
    """Whether the file's own structure reaches beyond its last byte (PNG chunks, RIFF size, JPEG's first scan)."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png_ends_early(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    if data.startswith(b"\xff\xd8"):
        return b"\xff\xda" not in data
    return False


def _png_ends_early(data: bytes) -> bool:
    position = 8
    while position + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        position += 12 + length
        if kind == b"IEND":
            return False
    return True


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except _DECODER_ERRORS:
        return 1


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
    for white in (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0):
        if least >= 0.0 and most <= white:
            return 0.0, white
    return least, max(most, least + 1.0)


def _scaled_grey(part: Image.Image, low: float, high: float) -> Image.Image:
    import numpy as np

    values = np.asarray(part).astype(np.float32)
    grey = np.clip((values - low) * (255.0 / (high - low)) + 0.5, 0, 255).astype(np.uint8)
    return Image.fromarray(grey).convert("RGBA")
