"""Bytes as they come, on stderr: a live bar in a terminal, a line for each step elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as SpeedColumn

from kiss3d_protocol.amounts import amount_text

STEPS = {
    "describe": "Asking the hub",
    "verify": "Checking what is here",
    "download": "Downloading",
    "convert": "Converting",
    "hash": "Hashing",
}


class ByteDisplay:
    """A context manager; feed it with every word of the work."""

    def __init__(self, *, silent: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=silent)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            SpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=silent or not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> ByteDisplay:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, step: str, what: str, done: int, total: int) -> None:
        """``done`` of ``total`` bytes of a step; ``what`` is in work."""
        title = STEPS.get(step, step)
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(title, total=total)
            if not self._console.is_terminal:
                amount = "" if step == "describe" else f", {amount_text(total)}"
                self._console.print(f"{title}{amount}", markup=False, soft_wrap=True)
        self._bars.update(self._tasks[step], description=f"{title} {what}", completed=done, total=total)
