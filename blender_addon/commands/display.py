"""What goes on, on stderr: a status line in a terminal, one line a result everywhere (no bpy).

Blender's Python has no library for this, and its own messages go to stdout.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import TextIO

from kiss3d_protocol.batch.manifest import Entry
from kiss3d_protocol.errors import Kiss3DError

from ..job_state import JobState, Phase

REDRAW_SECONDS = 0.1


class Display:
    """A context manager. ``told`` puts an error into words."""

    def __init__(
        self,
        stream: TextIO,
        *,
        told: Callable[[Kiss3DError], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._told = told
        self._clock = clock
        self._total = self._done = 0
        self._states: dict[str, JobState] = {}
        self._shown = ""
        self._drawn_at = -REDRAW_SECONDS

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self._take_away()

    def note(self, said: str) -> None:
        """A line about what goes on outside the jobs."""
        self._take_away()
        self._stream.write(plain(said) + "\n")
        self._stream.flush()

    def expect(self, total: int, done: int = 0) -> None:
        """There are ``total`` results to come, of which ``done`` are there already."""
        self._total, self._done = total, done
        if done:
            self.note(f"{done} of {total} are there already")

    def show(self, state: JobState) -> None:
        """How a job stands now."""
        self._states[state.job] = state
        if self._live and self._clock() - self._drawn_at >= REDRAW_SECONDS:
            self._draw()

    def ended(self, entry: Entry, error: Kiss3DError | None = None) -> None:
        """A result is there, or never will be, for the reason ``error``."""
        self.forget(entry.job)
        self._done += 1
        place = f"[{self._done}/{self._total}] {entry.name}"
        if error is not None:
            self.note(f"{place}: {self._told(error)}")
        else:
            triangles = f"{entry.triangles:,} triangles, " if entry.triangles else ""
            self.note(f"{place}: {triangles}{entry.seconds or 0:.1f} s")

    def forget(self, job: str) -> None:
        """A job is not shown any more."""
        self._states.pop(job, None)

    def _draw(self) -> None:
        self._take_away()
        width = shutil.get_terminal_size().columns - 1
        self._shown = plain(self._status())[:width]
        self._stream.write(self._shown)
        self._stream.flush()
        self._drawn_at = self._clock()

    def _take_away(self) -> None:
        if self._shown:
            self._stream.write("\r" + " " * len(self._shown) + "\r")
            self._shown = ""

    def _status(self) -> str:
        running = [state for state in self._states.values() if state.phase is Phase.RUNNING]
        waiting = len(self._states) - len(running)
        parts = [f"{self._done}/{self._total}"]
        for state in running:
            stage = state.current_stage
            doing = f" {stage.title}" if stage is not None else ""
            parts.append(f"{state.name}:{doing} {state.fraction:.0%}")
        return " | ".join([*parts, *([f"{waiting} waiting"] if waiting else [])])


def plain(said: str) -> str:
    """Text from elsewhere without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in said)
