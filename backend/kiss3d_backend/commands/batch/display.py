"""A batch as it runs, on stderr: bars in a terminal, one line a result elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from kiss3d_backend.commands.terminal import plain
from kiss3d_protocol.batch.manifest import Entry
from kiss3d_protocol.messages import Progress as ProgressEvent
from kiss3d_protocol.messages import Queued, ServerMessage, StageStarted

SHARES = 100
"""Parts that a running job's bar has."""


class BatchDisplay:
    """A context manager. ``total``: rows of the batch; ``done``: those that were made before."""

    def __init__(self, total: int, done: int) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._total, self._done = total, done
        self._whole = self._bars.add_task("Batch", total=total, completed=done)
        self._jobs: dict[str, TaskID] = {}
        self._names: dict[str, str] = {}

    def __enter__(self) -> BatchDisplay:
        self._bars.start()
        if self._done:
            self.note(f"{self._done} of {self._total} are there already")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        """A line about what goes on outside the jobs."""
        self._console.print(plain(text), style="dim", soft_wrap=True)

    def started(self, job: str, name: str) -> None:
        """A row was submitted."""
        self._names[job] = name
        self._jobs[job] = self._bars.add_task(f"  {name}", total=SHARES)

    def show(self, message: ServerMessage) -> None:
        """What a running job tells."""
        match message:
            case Queued(job=job, position=position) if job in self._jobs and position:
                self._bars.update(self._jobs[job], description=f"  {self._names[job]}: waiting")
            case StageStarted(job=job) if job in self._jobs:
                self._bars.update(self._jobs[job], description=f"  {self._names[job]}: {message.title}")
            case ProgressEvent(job=job) if job in self._jobs:
                self._bars.update(self._jobs[job], completed=round(message.fraction * SHARES))
            case _:
                pass

    def ended(self, entry: Entry) -> None:
        """A row has its result, or never will."""
        self._forget(entry.job)
        self._done += 1
        self._bars.update(self._whole, completed=self._done)
        place = f"[{self._done}/{self._total}]"
        if entry.state == "finished":
            triangles = f"{entry.triangles:,} triangles, " if entry.triangles else ""
            self._console.print(plain(f"{place} {entry.output}: {triangles}{entry.seconds or 0:.1f} s"), soft_wrap=True)
        else:
            told = f"{place} {entry.name}: {entry.error.get('message', entry.state)}"
            self._console.print(plain(told), style="red", soft_wrap=True)

    def again(self, job: str) -> None:
        """A row waits for its turn once more."""
        self._forget(job)

    def _forget(self, job: str) -> None:
        if job in self._jobs:
            self._bars.remove_task(self._jobs.pop(job))
