"""PNG from pixels (numpy only, no bpy)."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

COMPRESSION = 1
"""The picture goes over a socket, not onto a disk: speed counts."""


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A PNG (W3C PNG, third edition) of uint8 pixels (H, W, 1 to 4), row 0 at the top."""
    height, width, channels = pixels.shape
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    data = zlib.compress(rows.data, COMPRESSION)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
