"""What the containers of picture files say, read without a decoder: format, size, orientation.

Decoders are where hostile files do harm, and much of it is done by what is not the picture: tables of tags that claim
the same bytes a thousand times, compressed texts, colour profiles. So a file is walked through here first, in plain
Python and in bounded time, and a decoder is given only the parts that hold pixels. Sources: PNG (W3C, 3rd edition),
JPEG (ITU-T T.81, annex B), WebP container (RFC 9649), TIFF 6.0, GIF89a, BMP (Microsoft's BITMAPINFOHEADER).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import attrs

from kiss3d_protocol.errors import PictureTruncated, PictureUnreadable

MOST_PARTS = 65_536
"""Chunks, segments, strips or tiles. Programs write a few thousand into the largest picture that may come."""
MOST_TILE_PIXELS = 100_000_000
MOST_SCANS = 2000
"""Of a progressive JPEG, each of which goes over the whole picture. Programs make about ten; but what follows the end
of a phone's picture, a film for example, looks like a start of one every 64 KiB."""

Parts = tuple[tuple[int, int], ...]


@attrs.frozen
class Container:
    """``width``, ``height``: pixels as stored, not checked against any limit. ``orientation``: 1 to 8, as in EXIF.

    ``parts``: from where to where the file holds what a decoder needs; None when that is all of it.
    """

    format: str
    width: int
    height: int
    orientation: int = 1
    parts: Parts | None = None

    def for_decoder(self, data: bytes) -> bytes:
        """The file without what is not needed for its pixels."""
        return data if self.parts is None else b"".join(data[start:end] for start, end in self.parts)


def read_container(data: bytes) -> Container:
    """Raises :class:`PictureUnreadable` for what is no picture, or none as programs write them, and
    :class:`PictureTruncated` where the structure of the file shows that its end is missing."""
    if not data:
        raise PictureUnreadable("The picture file is empty.")
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(data)
        if data.startswith(b"\xff\xd8\xff"):
            return _jpeg(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith((b"II*\0", b"MM\0*")):
            return _tiff(data)
        if data.startswith((b"GIF87a", b"GIF89a")):
            return Container("GIF", *struct.unpack_from("<HH", data, 6))
        if data.startswith(b"BM"):
            return _bmp(data)
    except struct.error as error:
        raise truncated() from error
    raise PictureUnreadable("The file is not a picture in a format that Kiss3D reads.")


def truncated() -> PictureTruncated:
    """The error of a file that ends too early."""
    return PictureTruncated("The picture file ends too early: a part of it is missing.")


def damaged() -> PictureUnreadable:
    """The error of a file that does not keep to its format."""
    return PictureUnreadable("The picture file is damaged.")


def _counted(parts: Iterator[tuple[bytes, int, int]]) -> Iterator[tuple[bytes, int, int]]:
    for number, part in enumerate(parts):
        if number == MOST_PARTS:
            raise damaged()
        yield part


# ------------------------------------------------------------------------------------------------- PNG


def _png(data: bytes) -> Container:
    kept, size, orientation = [(0, 8)], (0, 0), 1
    for kind, start, end in _counted(_png_chunks(data)):
        if kind == b"IHDR":
            size = struct.unpack_from(">II", data, start + 8)
        elif kind == b"eXIf":
            orientation = _exif_orientation(data[start + 8 : end - 4])
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            kept.append((start, end))
    return Container("PNG", *size, orientation, tuple(kept))


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    position, kind = 8, b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise truncated()
        yield kind, position, end
        position = end


# ------------------------------------------------------------------------------------------------- JPEG

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_APPLICATION_DATA = range(0xE0, 0xF0)
_JFIF, _EXIF, _ADOBE, _COMMENT = 0xE0, 0xE1, 0xEE, 0xFE


def _jpeg(data: bytes) -> Container:
    _check_scans(data)
    kept, size, orientation = [(0, 2)], (0, 0), 1
    for kind, start, end in _counted(_jpeg_segments(data)):
        marker = kind[0]
        if marker in _FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", data, start + 5)
            size = width, height
        elif marker == _EXIF and data[start + 4 : start + 10] == b"Exif\0\0":
            orientation = _exif_orientation(data[start + 10 : end])
        if marker == _COMMENT or (marker in _APPLICATION_DATA and marker not in (_JFIF, _ADOBE)):
            continue
        kept.append((start, end))
    return Container("JPEG", *size, orientation, tuple(kept))


def _check_scans(data: bytes) -> None:
    if data.count(b"\xff\xda") > MOST_SCANS:
        raise damaged()


def _jpeg_segments(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Up to the first scan, which stands for all that follows."""
    position = 2
    while True:
        # What stands between two segments is skipped, as all decoders do.
        position = data.find(b"\xff", position)
        while position >= 0 and data[position + 1 : position + 2] == b"\xff":
            position += 1
        if position < 0 or position + 1 >= len(data):
            raise truncated()
        marker = data[position + 1]
        if marker == _START_OF_SCAN:
            yield data[position + 1 : position + 2], position, len(data)
            return
        if marker == _END_OF_IMAGE:
            raise damaged()
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            # No segment, or one without a length.
            yield data[position + 1 : position + 2], position, position + 2
            position += 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        end = position + 2 + length
        if end > len(data):
            raise truncated()
        yield data[position + 1 : position + 2], position, end
        position = end


# ------------------------------------------------------------------------------------------------- WebP


def _webp(data: bytes) -> Container:
    (length,) = struct.unpack_from("<I", data, 4)
    if 8 + length > len(data):
        raise truncated()
    size, orientation = (0, 0), 1
    for kind, start, end in _counted(_riff_chunks(data, 8 + length)):
        if kind == b"EXIF":
            orientation = _exif_orientation(data[start + 8 : end].removeprefix(b"Exif\0\0"))
        elif size == (0, 0):
            size = _webp_size(kind, data[start + 8 : start + 18])
    # Colour profile and texts are read by nobody, unless they are asked for.
    return Container("WEBP", *size, orientation)


def _riff_chunks(data: bytes, end: int) -> Iterator[tuple[bytes, int, int]]:
    position = 12
    while position + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, position)
        following = position + 8 + length + length % 2
        yield kind, position, min(following, end)
        position = following


def _webp_size(kind: bytes, head: bytes) -> tuple[int, int]:
    if kind == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if kind == b"VP8L" and head[:1] == b"\x2f":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", head, 6)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


# ------------------------------------------------------------------------------------------------- TIFF, BMP

_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WIDTH, _HEIGHT, _COMPRESSION, _ORIENTATION = 256, 257, 259, 274
_STRIP_OFFSETS, _STRIP_LENGTHS, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_LENGTHS = 273, 279, 322, 323, 324, 325
_JPEG_INSIDE = 7
_COMPRESSIONS = frozenset({1, 5, _JPEG_INSIDE, 8, 32773, 32946})
"""None, LZW, JPEG, Deflate (two codes) and PackBits. The others are for fax machines and laboratories."""


@attrs.frozen
class _Tag:
    count: int
    value: int
    """The first value, for unsigned integers that stand in the entry itself."""


def _tiff(data: bytes) -> Container:
    tags = _tags(data)

    def value(tag: int, default: int) -> int:
        return tags[tag].value if tag in tags else default

    if value(_COMPRESSION, 1) not in _COMPRESSIONS:
        raise PictureUnreadable("The TIFF file is compressed in a way that Kiss3D does not read.")
    if value(_COMPRESSION, 1) == _JPEG_INSIDE:
        _check_scans(data)
    tables = (_STRIP_OFFSETS, _STRIP_LENGTHS, _TILE_OFFSETS, _TILE_LENGTHS)
    if any(tag in tags and tags[tag].count > MOST_PARTS for tag in tables):
        raise damaged()
    if value(_TILE_WIDTH, 0) * value(_TILE_HEIGHT, 0) > MOST_TILE_PIXELS:
        raise damaged()
    orientation = value(_ORIENTATION, 1)
    return Container("TIFF", value(_WIDTH, 0), value(_HEIGHT, 0), orientation if 1 <= orientation <= 8 else 1)


def _tags(data: bytes) -> dict[int, _Tag]:
    """The first directory. Raises :class:`PictureUnreadable` when its values claim more bytes than the file has."""
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, start)
    tags: dict[int, _Tag] = {}
    claimed = 0
    for number in range(entries):
        tag, kind, count = struct.unpack_from(order + "HHI", data, start + 2 + 12 * number)
        size = _TYPE_SIZES.get(kind, 0)
        claimed += count * size if count * size > 4 else 0
        place = start + 10 + 12 * number
        value = struct.unpack_from(order + ("H" if size == 2 else "I"), data, place)[0] if size in (2, 4) else 0
        tags[tag] = _Tag(count, value)
    if claimed > len(data):
        raise damaged()
    return tags


def _exif_orientation(exif: bytes) -> int:
    """Of a TIFF file without pixels, which EXIF is. A broken one is no reason to refuse a picture."""
    try:
        tag = _tags(exif).get(_ORIENTATION)
    except (struct.error, PictureUnreadable):
        return 1
    return tag.value if tag is not None and 1 <= tag.value <= 8 else 1


def _bmp(data: bytes) -> Container:
    (header,) = struct.unpack_from("<I", data, 14)
    if header == 12:
        return Container("BMP", *struct.unpack_from("<HH", data, 18))
    if not 40 <= header <= 124:
        raise damaged()
    width, height = struct.unpack_from("<ii", data, 18)
    # A negative height stands for rows from the top downwards.
    return Container("BMP", max(width, 0), abs(height))
