"""Whether the disks have room for what is about to come."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from kiss3d_protocol.errors import ModelDiskFull

SPARE = 64 * 2**20
"""Bytes that are left free on every disk."""


def check_room(needs: Iterable[tuple[Path, int]]) -> None:
    """``needs``: folders (which need not exist yet) and the bytes that will be written there.

    Raises :class:`ModelDiskFull`, with the figures, when a disk has less than the sum of its folders' bytes.
    """
    disks: dict[int, list[tuple[Path, int]]] = defaultdict(list)
    for folder, count in needs:
        if count > 0:
            there = existing(folder)
            disks[there.stat().st_dev].append((there, count))
    for folders in disks.values():
        where, total = folders[0][0], sum(count for _, count in folders)
        free = shutil.disk_usage(where).free
        if free < total + SPARE:
            raise ModelDiskFull(
                f"The disk of {where} has {free / 1e9:.2f} GB free, and {(total + SPARE) / 1e9:.2f} GB are needed."
            )


def existing(folder: Path) -> Path:
    """The folder, or the first one above it that exists."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
