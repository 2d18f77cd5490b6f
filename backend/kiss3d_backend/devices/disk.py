"""How much room a disk has, and how fast it is, by writing a little to it."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from kiss3d_backend.devices.machine import Disk
from kiss3d_backend.models.download.room import existing

PIECE = 4 * 2**20
PIECES = 8
"""Bytes at a time, and how often: enough for a fast disk to show, and over in a quarter of a second on a slow one."""

ROOM_TO_MEASURE = 2**30
SECONDS = 0.15


def examine_disk(folder: Path, *, measure: bool = True) -> Disk:
    """The disk of ``folder``, or of the nearest folder above it that exists.

    With ``measure``, up to 32 MiB are written to a file there, until they are on the disk, and deleted. They are not
    written where less than 1 GiB is free or the folder does not exist yet; where it cannot be written the rate is None.
    """
    free = shutil.disk_usage(existing(folder)).free
    rate = _write_rate(folder) if measure and folder.is_dir() and free >= ROOM_TO_MEASURE else None
    return Disk(str(folder), free, rate)


def _write_rate(folder: Path) -> float | None:
    """Bytes per second of the fastest piece, which others that use the disk disturb least.

    The pieces are random, since some disks and file systems compress.
    """
    path = folder / f".speed-{os.getpid()}"
    piece = os.urandom(PIECE)
    rates: list[float] = []
    try:
        with path.open("xb", buffering=0) as file:
            began = last = time.perf_counter()
            while len(rates) < PIECES and last - began < SECONDS:
                written = file.write(piece)
                os.fsync(file.fileno())
                now = time.perf_counter()
                rates.append(written / (now - last))
                last = now
    except OSError:
        return None
    finally:
        path.unlink(missing_ok=True)
    return max(rates)
