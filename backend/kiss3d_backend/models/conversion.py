"""Pickles become safetensors, in another process: torch stays out of this one, and so does what the pickle holds."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, Queue
from threading import Event
from typing import Any, cast

from kiss3d_backend.models.catalogue import Entry, ModelFile
from kiss3d_backend.models.pins import Pin, Pins, converted_key
from kiss3d_protocol.errors import EnginePartMissing, JobCancelled, ModelFileCorrupt, error_from_wire

CONVERTER = "kiss3d_backend.networks.convert"
CANCEL_POLL = 0.1
_WORDS_OF_STDERR = 600

OnStep = Callable[[str, int, int], None]
"""Step, bytes done, bytes in all."""


def run_conversion(
    entry: Entry, file: ModelFile, source: Path, source_sha256: str, target: Path, on_step: OnStep, cancel: Event
) -> str:
    """Converts ``source``, whose sha256 is known, to ``target``. Returns the sha256 of the result.

    The child is ``python -m kiss3d_backend.networks.convert KIND SOURCE TARGET``, which tells its progress in lines of
    JSON. Raises what the child tells, :class:`EnginePartMissing` without torch, :class:`JobCancelled`, and
    :class:`ModelFileCorrupt` when the child dies without a word.
    """
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [sys.executable, "-m", CONVERTER, str(file.convert), str(source), str(target)]
    child = subprocess.Popen(
        [*command, "--source-sha256", source_sha256],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    lines: Queue[str] = Queue()
    complaints: list[str] = []
    readers = (
        threading.Thread(target=_read, args=(child.stdout, lines.put), daemon=True),
        threading.Thread(target=_read, args=(child.stderr, complaints.append), daemon=True),
    )
    for reader in readers:
        reader.start()
    try:
        while True:
            if cancel.is_set():
                raise JobCancelled("The conversion was cancelled; it starts again with the next pull.")
            try:
                told = _parse(lines.get(timeout=CANCEL_POLL))
            except Empty:
                if child.poll() is not None and not readers[0].is_alive() and lines.empty():
                    raise _silent(entry, file, child.returncode, "".join(complaints)) from None
                continue
            match told.get("event"):
                case "progress":
                    on_step(str(told.get("step")), int(told.get("done", 0)), int(told.get("total", 0)))
                case "done":
                    return str(told["sha256"])
                case "error":
                    raise error_from_wire(str(told["code"]), str(told["message"]), str(told["remedy"]))
                case _:
                    pass
    finally:
        if child.poll() is None:
            try:
                child.wait(0.5 if not cancel.is_set() else 0)
            except subprocess.TimeoutExpired:
                child.kill()
        child.wait()
        for reader in readers:
            reader.join()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


def convert_file(
    entry: Entry, file: ModelFile, source: Path, pin: Pin, target: Path, pins: Pins, on_step: OnStep, cancel: Event
) -> Path:
    """:func:`run_conversion`, with the result's hash pinned."""
    sha256 = run_conversion(entry, file, source, pin.sha256, target, on_step, cancel)
    pins.put(converted_key(entry, file), Pin(sha256, 0, ours=True, place=str(target)).seen_at(target))
    return target


def _read(pipe: Any, take: Callable[[str], object]) -> None:
    for line in pipe:
        take(line)


def _parse(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _silent(entry: Entry, file: ModelFile, code: int | None, complaint: str) -> Exception:
    if "No module named 'torch'" in complaint:
        return EnginePartMissing(
            f"Converting {file.name} of the model '{entry.name}' needs torch, which is not installed."
        )
    last = complaint.strip()[-_WORDS_OF_STDERR:]
    text = f"Converting {file.name} of the model '{entry.name}' ended with code {code} and no result. {last}".strip()
    return ModelFileCorrupt(text, "Run 'kiss3d models verify', and report it with this text if the file is right.")
