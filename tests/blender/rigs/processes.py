"""Processes under a hard time limit, of which nothing is left running afterwards."""

from __future__ import annotations

import os
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

MARK = "KISS3D_TEST_RUN"
"""Every process of a run inherits this variable, so that also those in sessions of their own are found."""


class TimedOut(AssertionError):
    """A process did not end in time; the message holds what it had printed."""


class Completed(subprocess.CompletedProcess[str]):
    """As :class:`subprocess.CompletedProcess`, with ``seconds`` and the command lines of what was ``left_running``."""

    seconds: float
    left_running: list[str]


def run_to_end(
    command: Sequence[str | os.PathLike[str]],
    *,
    timeout: float,
    env: Mapping[str, str],
    cwd: Path,
) -> Completed:
    """Run ``command`` with exactly the environment ``env``; end it and all that it started.

    Raises :class:`TimedOut` after ``timeout`` seconds. Output goes through files: a child that outlives the
    process and holds its output open cannot block the test.
    """
    mark = uuid.uuid4().hex
    outputs = [cwd / f"{mark}.{name}" for name in ("stdout", "stderr")]
    started = time.monotonic()
    expired = False
    with outputs[0].open("wb") as out, outputs[1].open("wb") as err:
        process = subprocess.Popen(
            [os.fspath(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**env, MARK: mark},
            cwd=cwd,
        )
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            expired = True
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            left_running = end_marked(mark)
    seconds = time.monotonic() - started
    stdout, stderr = (path.read_text(encoding="utf-8", errors="replace") for path in outputs)
    for path in outputs:
        path.unlink()
    if expired:
        raise TimedOut(f"{command} did not end within {timeout:g} s.\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    completed = Completed(list(command), process.returncode, stdout, stderr)
    completed.seconds = seconds
    completed.left_running = left_running
    return completed


def end_marked(mark: str) -> list[str]:
    """Kill every process that carries ``mark``; return their command lines."""
    ended: list[str] = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark:
                ended.append(" ".join(process.cmdline()))
                process.kill()
        except (psutil.Error, OSError):
            continue
    return ended
