"""Pictures from outside: every format, depth and orientation that counts, and every way to be bad."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from kiss3d_backend.intake.decode import read_picture
from kiss3d_backend.intake.picture import inspect_picture
from kiss3d_protocol.errors import (
    JobCancelled,
    PictureTooLarge,
    PictureTooSmall,
    PictureTransparent,
    PictureTruncated,
    PictureUnreadable,
)

WIDTH, HEIGHT = 80, 60


def ramp(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(H, W, 3) uint8: red grows to the right, green downwards; the top left corner is blue."""
    y, x = np.mgrid[0:height, 0:width]
    picture = np.stack([255 * x / (width - 1), 255 * y / (height - 1), np.zeros_like(x)], axis=2)
    picture[: height // 4, : width // 4, 2] = 255
    return picture.astype(np.uint8)


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def png_16(values: np.ndarray, colour_type: int) -> bytes:
    """A PNG of 16 bits per channel, which Pillow cannot write. ``values``: (H, W, C) uint16."""
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return forged_png(width, height, 16, colour_type, zlib.compress(rows))


def forged_png(width: int, height: int, depth: int, colour_type: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("file_format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 12),
        ("JPEG", {"quality": 98, "subsampling": 0}, 8),
        ("JPEG", {"quality": 98, "subsampling": 0, "progressive": True}, 8),
    ],
)
def test_colour_formats(file_format: str, options: dict[str, object], tolerance: int) -> None:
    data = encode(Image.fromarray(ramp()), file_format, **options)
    info = inspect_picture(data)
    assert (info.format, info.width, info.height) == (file_format, WIDTH, HEIGHT)
    rgba = read_picture(data).rgba
    assert rgba.dtype == np.uint8
    assert rgba.shape == (HEIGHT, WIDTH, 4)
    assert (rgba[..., 3] == 255).all()
    assert np.abs(rgba[..., :3].astype(int) - ramp()).mean() <= tolerance


def test_transparency_is_kept() -> None:
    alpha = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    rgba = np.dstack([ramp(), alpha])
    read = read_picture(encode(Image.fromarray(rgba), "PNG")).rgba
    np.testing.assert_array_equal(read[..., 3], alpha)
    grey_alpha = Image.merge("LA", [Image.fromarray(ramp()[..., 0]), Image.fromarray(alpha)])
    read = read_picture(encode(grey_alpha, "PNG")).rgba
    np.testing.assert_array_equal(read[..., 3], alpha)
    np.testing.assert_array_equal(read[..., 1], ramp()[..., 0])


def test_grey_and_bilevel() -> None:
    grey = ramp()[..., 0]
    read = read_picture(encode(Image.fromarray(grey), "PNG")).rgba
    np.testing.assert_array_equal(read[..., :3], np.repeat(grey[..., None], 3, axis=2))
    bilevel = read_picture(encode(Image.fromarray(grey > 127), "PNG")).rgba
    assert set(np.unique(bilevel[..., 0])) == {0, 255}


@pytest.mark.parametrize(("colour_type", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_16_bit_png_is_scaled_not_clipped(colour_type: int, channels: int) -> None:
    across = np.linspace(0, 65535, WIDTH)
    values = np.broadcast_to(across[None, :, None], (HEIGHT, WIDTH, channels)).astype(np.uint16)
    rgba = read_picture(png_16(values, colour_type)).rgba
    expected = across / 257.0
    assert np.abs(rgba[0, :, 0] - expected).max() <= 1.0
    assert np.abs((rgba[0, :, 3] - expected) if channels in (2, 4) else rgba[0, :, 3] - 255.0).max() <= 1.0


def test_deep_tiff() -> None:
    across = np.broadcast_to(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, WIDTH))
    for image in (Image.fromarray(across), Image.fromarray((across * 65535).astype(np.uint16))):
        rgba = read_picture(encode(image, "TIFF")).rgba
        assert np.abs(rgba[0, :, 0] - across[0] * 255.0).max() <= 1.0


def test_palette_with_transparency() -> None:
    colours = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    colours[:, WIDTH // 2 :] = 1
    image = Image.new("P", (WIDTH, HEIGHT))
    image.putdata([int(value) for value in colours.ravel()])
    image.putpalette([255, 0, 0, 0, 0, 255])
    one = read_picture(encode(image, "PNG", transparency=0)).rgba
    assert one[0, 0, 3] == 0
    assert tuple(one[0, -1]) == (0, 0, 255, 255)
    many = read_picture(encode(image, "PNG", transparency=bytes([255, 90]))).rgba
    assert tuple(many[0, 0]) == (255, 0, 0, 255)
    assert tuple(many[0, -1]) == (0, 0, 255, 90)


def test_cmyk_jpeg() -> None:
    cmyk = Image.fromarray(ramp()).convert("CMYK")
    rgba = read_picture(encode(cmyk, "JPEG", quality=97, subsampling=0)).rgba
    assert np.abs(rgba[..., :3].astype(int) - ramp()).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    upright = Image.fromarray(ramp())
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    rgba = read_picture(encode(stored, "JPEG", quality=97, subsampling=0, exif=exif)).rgba
    assert rgba.shape == (HEIGHT, WIDTH, 4)
    assert np.abs(rgba[..., :3].astype(int) - ramp()).mean() < 6


def test_broken_exif_is_no_reason_to_fail() -> None:
    data = encode(Image.fromarray(ramp()), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff garbage")
    assert read_picture(data).rgba.shape == (HEIGHT, WIDTH, 4)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(file_format: str) -> None:
    first = Image.new("RGB", (WIDTH, HEIGHT), (255, 0, 0))
    second = Image.new("RGB", (WIDTH, HEIGHT), (0, 255, 0))
    data = encode(first, file_format, save_all=True, append_images=[second], duration=100)
    assert np.abs(read_picture(data).rgba[..., :3].astype(int) - (255, 0, 0)).max() < 8


def test_large_pictures_are_reduced_without_loss_of_place() -> None:
    data = encode(Image.fromarray(ramp(5000, 500)), "PNG", compress_level=1)
    rgba = read_picture(data).rgba
    assert rgba.shape == (205, 2048, 4)
    assert np.abs(rgba[..., :3].astype(int) - ramp(2048, 205)).mean() < 1.5


def test_hidden_colours_do_not_show_after_reduction() -> None:
    rgba = np.zeros((4200, 64, 4), dtype=np.uint8)
    rgba[..., 1] = 255
    rgba[1001:3001] = (255, 0, 0, 255)
    read = read_picture(encode(Image.fromarray(rgba), "PNG", compress_level=1)).rgba
    seen = read[read[..., 3] > 8]
    assert seen[:, 0].min() > 230
    assert seen[:, 1].max() < 25


def test_reading_can_be_stopped() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (600, 600, 3)).astype(np.uint8)
    parts: list[float] = []

    def stop(part: float) -> None:
        parts.append(part)
        if part > 0.3:
            raise JobCancelled("The job was cancelled.")

    with pytest.raises(JobCancelled):
        read_picture(encode(Image.fromarray(noise), "PNG"), stop)
    assert len(parts) > 3
    assert parts[-1] < 0.6


def bad_pictures() -> dict[str, tuple[bytes, type[Exception]]]:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8))
    png, jpeg, webp = encode(noise, "PNG"), encode(noise, "JPEG"), encode(noise, "WEBP")
    gif, tiff = encode(noise, "GIF"), encode(noise, "TIFF")
    return {
        "zero bytes": (b"", PictureUnreadable),
        "text": (b"This is not a picture, whatever it is called.\n" * 20, PictureUnreadable),
        "html": (b"<!DOCTYPE html><html><body>404</body></html>", PictureUnreadable),
        "only a PNG signature": (b"\x89PNG\r\n\x1a\n", PictureTruncated),
        "PNG cut in its header": (png[:20], PictureTruncated),
        "PNG cut in half": (png[: len(png) // 2], PictureTruncated),
        "PNG of garbage": (forged_png(64, 64, 8, 2, b"garbage" * 100), PictureUnreadable),
        "JPEG cut in its header": (jpeg[:300], PictureTruncated),
        "JPEG cut in half": (jpeg[: len(jpeg) // 2], PictureTruncated),
        "WebP cut in half": (webp[: len(webp) // 2], PictureTruncated),
        "GIF cut in half": (gif[: len(gif) // 2], PictureTruncated),
        "TIFF cut in half": (tiff[: len(tiff) // 2], PictureTruncated),
        "1 x 1": (encode(Image.new("RGB", (1, 1)), "PNG"), PictureTooSmall),
        "31 x 500": (encode(Image.new("RGB", (31, 500)), "PNG"), PictureTooSmall),
        "30000 x 30000": (forged_png(30000, 30000, 8, 2, zlib.compress(b"\0" * 1000)), PictureTooLarge),
        "no size": (forged_png(0, 0, 8, 2, b""), PictureUnreadable),
        "fully transparent": (encode(Image.new("RGBA", (64, 64), (255, 0, 0, 0)), "PNG"), PictureTransparent),
        "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n", PictureUnreadable),
        "PPM": (encode(noise, "PPM"), PictureUnreadable),
        "ICO": (encode(noise.resize((64, 64)), "ICO"), PictureUnreadable),
        "PDF with a JPEG in it": (b"%PDF-1.4\n" + jpeg, PictureUnreadable),
        "ZIP": (b"PK\x03\x04" + png, PictureUnreadable),
    }


@pytest.mark.parametrize("name", list(bad_pictures()))
def test_bad_pictures(name: str) -> None:
    data, error = bad_pictures()[name]
    with pytest.raises(error) as raised:
        inspect_picture(data)
        read_picture(data)
    assert raised.value.message.endswith(".")
    assert raised.value.remedy.endswith(".")


def test_a_bomb_is_refused_by_its_header_with_figures() -> None:
    with pytest.raises(PictureTooLarge, match="30000 x 30000 pixels, 900 megapixels"):
        inspect_picture(forged_png(30000, 30000, 8, 2, zlib.compress(b"\0" * 1000)))


def test_a_webp_may_have_half_as_many_pixels() -> None:
    blank = encode(Image.new("L", (7200, 7200)), "WEBP", method=0, quality=1)
    with pytest.raises(PictureTooLarge, match="7200 x 7200 pixels, 52 megapixels in all; the limit is 50 megapixels"):
        inspect_picture(blank)


def test_truncation_that_the_header_shows_is_told_before_decoding() -> None:
    for name in ("PNG cut in half", "WebP cut in half", "JPEG cut in its header"):
        with pytest.raises(PictureTruncated):
            inspect_picture(bad_pictures()[name][0])


def test_a_picture_with_something_after_its_end_is_a_picture() -> None:
    for file_format in ("PNG", "JPEG", "GIF"):
        data = encode(Image.fromarray(ramp()), file_format) + b"PK\x03\x04 <script>alert(1)</script>" * 50
        inspect_picture(data)
        assert read_picture(data).rgba.shape == (HEIGHT, WIDTH, 4)


def test_looking_at_a_picture_needs_no_decoder() -> None:
    program = (
        "import sys; import kiss3d_backend.intake.picture; "
        "print([name for name in ('PIL', 'numpy', 'scipy', 'skimage', 'cv2', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
