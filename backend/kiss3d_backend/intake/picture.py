"""Pictures from outside: looked at by their container, or read in full.

To look at a picture no decoder is needed, so the broker can refuse a bad one at once and in safety.

The limits are ours, not Pillow's: at least :data:`SMALLEST_SIDE` pixels on either side and at most
:data:`MOST_PIXELS` in all (:data:`MOST_WEBP_PIXELS` for WebP), checked before anything is decoded. Formats are told
apart by their container, so that no rarely used decoder is reached by a file that only calls itself a picture.
"""

from __future__ import annotations

import attrs

from kiss3d_backend.intake.container import Container, damaged, read_container
from kiss3d_protocol.errors import PictureTooLarge, PictureTooSmall

SMALLEST_SIDE = 32
MOST_PIXELS = 100_000_000
MOST_WEBP_PIXELS = 50_000_000
"""Less, because libwebp decodes in one piece and Pillow holds four copies meanwhile: 16 bytes per pixel."""


@attrs.frozen
class PictureInfo:
    """``format``: PNG, JPEG, WEBP, BMP, TIFF or GIF. ``width``, ``height``: pixels as stored."""

    format: str
    width: int
    height: int


def inspect_picture(data: bytes) -> PictureInfo:
    """What a picture file says of itself, without decoding it.

    Raises :class:`PictureUnreadable`, :class:`PictureTooSmall`, :class:`PictureTooLarge`, and
    :class:`PictureTruncated` where the structure of the file already shows that its end is missing.
    """
    found = checked_container(data)
    return PictureInfo(found.format, found.width, found.height)


def checked_container(data: bytes) -> Container:
    """The container of a picture within the limits. Raises what :func:`inspect_picture` raises."""
    found = read_container(data)
    check_size(found.format, found.width, found.height)
    return found


def check_size(file_format: str, width: int, height: int) -> None:
    """Raises :class:`PictureTooSmall`, :class:`PictureTooLarge`, and :class:`PictureUnreadable` for no size at all."""
    if not width or not height:
        raise damaged()
    if min(width, height) < SMALLEST_SIDE:
        raise PictureTooSmall(
            f"The picture has {width} x {height} pixels; it needs at least {SMALLEST_SIDE} on each side."
        )
    most = MOST_WEBP_PIXELS if file_format == "WEBP" else MOST_PIXELS
    if width * height > most:
        raise PictureTooLarge(
            f"The picture has {width} x {height} pixels, {width * height / 1e6:.0f} megapixels in all; "
            f"the limit is {most // 1_000_000} megapixels."
        )
