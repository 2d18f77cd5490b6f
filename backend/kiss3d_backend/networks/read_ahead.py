"""Files that will be wanted soon, brought into the system's memory while something else computes. Imports no torch."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

_log = logging.getLogger(__name__)

PIECE = 16 * 2**20
_MOST_HEADER = 100 * 2**20


@attrs.frozen
class Range:
    """Bytes of a file. ``stop``: exclusive."""

    path: Path
    start: int
    stop: int


def whole(path: Path) -> Range:
    """Raises OSError."""
    return Range(path, 0, path.stat().st_size)


def tensors_under(path: Path, prefixes: Sequence[str]) -> tuple[Range, ...]:
    """Where a safetensors file (https://github.com/huggingface/safetensors, "Format") has the tensors whose names begin
    so, neighbours joined. Raises OSError, and ValueError for a file that is none.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _MOST_HEADER:
            raise ValueError(f"{path} is no safetensors file")
        header = json.loads(file.read(length))
    places = sorted(
        (8 + length + told["data_offsets"][0], 8 + length + told["data_offsets"][1])
        for name, told in header.items()
        if name.startswith(tuple(prefixes))
    )
    joined: list[Range] = []
    for start, stop in places:
        if joined and joined[-1].stop == start:
            joined[-1] = Range(path, joined[-1].start, stop)
        else:
            joined.append(Range(path, start, stop))
    return tuple(joined)


class ReadAhead:
    """Reads on a thread of its own, one list at a time; a new list takes the place of the old one."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, ranges: Iterable[Range]) -> None:
        """Returns at once. A file that cannot be read is left to whoever wants it."""
        self.stop()
        wanted = tuple(ranges)
        if not wanted:
            return
        self._stop = threading.Event()
        self._thread = threading.Thread(target=_read, args=(wanted, self._stop), name="read ahead", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends reading within one piece."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Whether everything has been read after at most so many seconds."""
        if self._thread is not None:
            self._thread.join(seconds)
            return not self._thread.is_alive()
        return True


def _read(ranges: Sequence[Range], stop: threading.Event) -> None:
    room = bytearray(PIECE)
    for wanted in ranges:
        try:
            with wanted.path.open("rb", buffering=0) as file:
                for start in range(wanted.start, wanted.stop, PIECE):
                    if stop.is_set():
                        return
                    size = min(PIECE, wanted.stop - start)
                    if hasattr(os, "posix_fadvise"):
                        # Copies nothing, and costs next to nothing where the file is in memory already.
                        os.posix_fadvise(file.fileno(), start, size, os.POSIX_FADV_WILLNEED)
                    else:
                        file.seek(start)
                        file.readinto(memoryview(room)[:size])
        except OSError as error:
            _log.info("%s is not read ahead: %s", wanted.path.name, error.strerror)
