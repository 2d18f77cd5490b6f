"""Pictures that are made to hurt: what a decoder would choke on does not get there, and it costs little to find out."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from tests.fuzz.seeds import pictures, pixels

from kiss3d_backend.intake.container import MOST_PARTS, read_container
from kiss3d_backend.intake.decode import read_picture
from kiss3d_backend.intake.picture import inspect_picture
from kiss3d_protocol.errors import PictureError, PictureTooLarge, PictureUnreadable

WIDTH, HEIGHT = 48, 40


@contextmanager
def little_memory(most: int = 8 << 20) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most, f"{peak:,} bytes"


def tiff(*tags: tuple[int, int, int, int], width: int = WIDTH, height: int = HEIGHT, rest: bytes = b"") -> bytes:
    """A grey TIFF. ``tags``: number, type, count, value (or offset); ``rest`` stands behind the directory."""
    plain = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries = sorted({tag[0]: tag for tag in (*plain, *tags)}.values())
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<I", 8) + directory + bytes(4) + rest


def exif_of_claims(tags: int) -> bytes:
    """EXIF in which each tag claims the same 60,000 bytes for itself."""
    entries = b"".join(struct.pack("<HHII", 1000 + number, 7, 60_000, 8) for number in range(tags))
    return b"II*\0" + struct.pack("<IH", 8, tags) + entries + bytes(60_004)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(png: bytes, chunks: bytes) -> bytes:
    """Behind the header, which is always as long."""
    return png[:33] + chunks + png[33:]


def jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    parts = [b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments]
    base = pictures()["progressive.jpeg"]
    return base[:2] + b"".join(parts) + base[2:]


def animated_webp(width: int, height: int) -> bytes:
    """A small frame on a canvas of any size."""
    frame = pictures()["lossy.webp"]
    start = frame.index(b"VP8 " if b"VP8 " in frame else b"VP8L")
    body = bytes(6) + (WIDTH - 1).to_bytes(3, "little") + (HEIGHT - 1).to_bytes(3, "little") + bytes(4) + frame[start:]
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + sides
    chunks += b"ANIM" + struct.pack("<I", 6) + bytes(6) + b"ANMF" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


@pytest.mark.parametrize(
    ("data", "error"),
    [
        # Pillow alone takes 49 s and 3.6 GB to look at one of 64 MiB like the first, and all memory for the second.
        (tiff((273, 4, MOST_PARTS + 1, 122), (279, 4, 4, 122), rest=bytes(300_000)), PictureUnreadable),
        (tiff(*((900 + tag, 7, 60_000, 122) for tag in range(500)), rest=bytes(60_000)), PictureUnreadable),
        (tiff((273, 4, 2**31, 122)), PictureUnreadable),
        (tiff((322, 4, 1, 65_520), (323, 4, 1, 65_520), (324, 4, 1, 8)), PictureUnreadable),
        (tiff((259, 3, 1, 34_676)), PictureUnreadable),
        (pictures()["progressive.jpeg"][:-2] + b"\xff\xda\0\x08\1\1\0\0\x3f\0\x7f" * 2000, PictureUnreadable),
        (tiff((259, 3, 1, 7), rest=b"\xff\xda\0\x08" * 2001), PictureUnreadable),
        (tiff(width=2**31, height=2**31), PictureTooLarge),
        (animated_webp(2**24, 2**24), PictureTooLarge),
        (with_chunks(pictures()["rgba.png"], png_chunk(b"IDAT", b"") * (MOST_PARTS + 1)), PictureUnreadable),
        (b"BM" + bytes(12) + struct.pack("<Iii", 40, 2**31 - 1, -(2**31)) + bytes(40), PictureTooLarge),
        (b"BM" + bytes(12) + struct.pack("<Iii", 40, -64, 64) + bytes(40), PictureUnreadable),
    ],
    ids=[
        *("TIFF of strips", "TIFF of claims", "TIFF of 2^31 strips", "TIFF of one huge tile", "TIFF of a laboratory"),
        *("JPEG of scans", "TIFF with a JPEG of scans"),
        *("TIFF of 2^62 pixels", "WebP of 2^48 pixels", "PNG of chunks", "BMP of 2^62 pixels", "BMP backwards"),
    ],
)
def test_bombs_are_refused_before_they_go_off(data: bytes, error: type[PictureError]) -> None:
    with little_memory(), pytest.raises(error):
        inspect_picture(data)
    with pytest.raises(error):
        read_picture(data)


@pytest.mark.parametrize("name", ["metadata.png", "base.jpeg", "two.mpo"])
def test_a_decoder_gets_pixels_and_nothing_else(name: str) -> None:
    data = pictures()[name] + b"<script>alert(1)</script>"
    left = read_container(data).for_decoder(data)
    for what in (b"Exif", b"eXIf", b"profile", b"iCCP", b"words", b"pHYs", b"MPF"):
        assert what not in left
    assert b"script" not in left or name != "metadata.png"
    assert read_picture(left).rgba.shape in ((HEIGHT, WIDTH, 4), (WIDTH, HEIGHT, 4))


def test_a_picture_of_a_phone_with_a_second_one_in_it_is_a_jpeg() -> None:
    info = inspect_picture(pictures()["two.mpo"])
    assert (info.format, info.width, info.height) == ("JPEG", WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "data",
    [
        jpeg_with(*[(0xE1, b"Exif\0\0" + exif_of_claims(400))] * 20),
        jpeg_with(*[(0xE2, b"ICC_PROFILE\0\1\1" + b"junk" * 16_000)] * 20),
        with_chunks(pictures()["rgba.png"], png_chunk(b"eXIf", exif_of_claims(5000))),
        with_chunks(pictures()["rgba.png"], png_chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(50 << 20)))),
        with_chunks(pictures()["rgba.png"], png_chunk(b"zTXt", b"words\0\0" + zlib.compress(bytes(50 << 20))) * 3),
    ],
    ids=["EXIF of claims in a JPEG", "profiles in a JPEG", "EXIF of claims in a PNG", "profile bomb", "text bomb"],
)
def test_metadata_costs_nothing_and_does_not_matter(data: bytes) -> None:
    with little_memory(8 << 20):
        assert read_picture(data).rgba.shape == (HEIGHT, WIDTH, 4)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_is_read_without_a_decoder(file_format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(pixels()[..., :3]).save(file, file_format, exif=exif)
    assert read_container(file.getvalue()).orientation == orientation
    assert read_picture(file.getvalue()).rgba.shape[:2] == ((WIDTH, HEIGHT) if orientation > 5 else (HEIGHT, WIDTH))


def test_a_frame_beyond_the_screen_of_a_gif_counts() -> None:
    gif = bytearray(pictures()["animated.gif"])
    at = gif.index(b"\x2c\0\0\0\0" + struct.pack("<HH", WIDTH, HEIGHT))
    gif[at + 5 : at + 9] = struct.pack("<HH", 65_000, 65_000)
    assert inspect_picture(bytes(gif)).width == WIDTH
    with pytest.raises(PictureTooLarge):
        read_picture(bytes(gif))


def test_floats_of_a_tiff_may_be_anything() -> None:
    values = np.ones((HEIGHT, WIDTH), np.float32)
    values[0, :4] = np.nan, np.inf, -np.inf, 3e38
    file = io.BytesIO()
    Image.fromarray(values).save(file, "TIFF")
    assert read_picture(file.getvalue()).rgba.shape == (HEIGHT, WIDTH, 4)
