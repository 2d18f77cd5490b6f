"""Changes that break parsers: bits, lengths, counts, order."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence

NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
FORMATS = ("<B", "<H", ">H", "<I", ">I", "<f")
FLOATS = (float("nan"), float("inf"), -1.0, 1e30, -0.0)
MOST_BYTES = 1 << 18


def mutated(data: bytes, seeds: Sequence[bytes], source: random.Random) -> bytes:
    """``data`` with one to eight changes; never more than :data:`MOST_BYTES`."""
    changed = bytearray(data)
    for _ in range(source.randint(1, 8)):
        _change(changed, seeds, source)
    return bytes(changed[:MOST_BYTES])


def _change(data: bytearray, seeds: Sequence[bytes], source: random.Random) -> None:
    place = source.randrange(len(data) + 1)
    length = min(source.choice((1, 2, 4, 8, 40, 400)), len(data) - place)
    match source.randrange(7):
        case 0 if place < len(data):
            data[place] ^= 1 << source.randrange(8)
        case 1:
            form = source.choice(FORMATS)
            number = source.choice(FLOATS) if form == "<f" else source.choice(NUMBERS) % 256 ** struct.calcsize(form)
            packed = struct.pack(form, number)
            data[place : place + len(packed)] = packed
        case 2:
            del data[place : place + length]
        case 3:
            data[place:place] = data[place : place + length] * source.choice((1, 2, 50))
        case 4:
            data[place:place] = source.randbytes(length)
        case 5:
            other = source.choice(seeds)
            start = source.randrange(len(other) + 1)
            data[place : place + length] = other[start : start + length]
        case 6 if source.random() < 0.3:
            del data[place:]
        case _:
            pass
