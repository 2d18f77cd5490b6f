"""The stages of a job as they run, on stderr: live bars in a terminal, one line a stage elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from kiss3d_backend.commands.terminal import plain
from kiss3d_backend.logs import visible
from kiss3d_protocol.messages import (
    BundlesReady,
    MeshReady,
    Queued,
    ServerMessage,
    StageStarted,
    WarningRaised,
)
from kiss3d_protocol.messages import Progress as ProgressEvent


class StageDisplay:
    """A context manager; feed it with every message of the job."""

    def __init__(self, name: str) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._name = name
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._whole: TaskID | None = None
        self._stage: TaskID | None = None

    def __enter__(self) -> StageDisplay:
        self._bars.start()
        self._whole = self._bars.add_task(self._name, total=1.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        """A line about what goes on outside the job."""
        self._console.print(plain(text), style="dim", soft_wrap=True)

    def show(self, message: ServerMessage) -> None:
        """Shows what a message tells."""
        match message:
            case Queued(position=position) if position:
                self.note(f"Waiting: {position} job{'s' if position > 1 else ''} before this one")
            case StageStarted():
                self._start_stage(message)
            case ProgressEvent():
                if self._stage is not None:
                    self._bars.update(self._stage, completed=message.step / message.steps)
                if self._whole is not None:
                    self._bars.update(self._whole, completed=message.fraction)
            case BundlesReady(bundles=bundles, waiting=waiting):
                count = f"{len(bundles)} bundle{'' if len(bundles) == 1 else 's'}"
                self.note(f"{count} made{', waiting for a choice' if waiting else ''}")
            case MeshReady():
                triangles = message.mesh.triangles.shape[0]
                self.note(f"{message.quality.capitalize()} mesh: {triangles:,} triangles")
            case WarningRaised():
                warning = plain(f"Warning: {message.message} {message.remedy}")
                self._console.print(warning, style="yellow", soft_wrap=True)
            case _:
                pass

    def _start_stage(self, started: StageStarted) -> None:
        if self._stage is not None:
            self._bars.update(self._stage, completed=1.0)
        title = f"  {started.index + 1}/{started.count} {visible(started.title)}"
        self._stage = self._bars.add_task(title, total=1.0)
        if not self._console.is_terminal:
            self._console.print(title, markup=False, soft_wrap=True)
