"""A stage's context that keeps what it is told."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.clock import JobClock
from kiss3d_backend.pipeline.events import MeshQuality
from kiss3d_backend.pipeline.stage import StageContext
from kiss3d_backend.pipeline.types import Bundle


class Record:
    """An event sink that keeps everything, in order."""

    def __init__(self) -> None:
        self.events: list[tuple] = []

    def stage_started(self, stage: str, title: str, index: int, count: int) -> None:
        self.events.append(("started", stage, title, index, count))

    def progress(self, stage: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None:
        self.events.append(("progress", stage, step, steps, fraction, eta_seconds))

    def preview(self, stage: str, image: np.ndarray, text: str = "") -> None:
        self.events.append(("preview", stage, image))
        if text:
            self.events.append(("text", stage, text))

    def bundles_ready(self, stage: str, bundles: Sequence[Bundle], waiting: bool) -> None:
        self.events.append(("bundles", stage, tuple(bundles), waiting))

    def mesh_ready(self, mesh: Mesh, quality: MeshQuality, bundle: int = 0) -> None:
        self.events.append(("mesh", mesh, quality))

    def warning(self, code: str, message: str, remedy: str) -> None:
        self.events.append(("warning", code, message, remedy))

    def of(self, kind: str) -> list[tuple]:
        return [event[1:] for event in self.events if event[0] == kind]

    def warning_codes(self) -> list[str]:
        return [warning[0] for warning in self.of("warning")]


def stage_context(cancelled: bool = False, cancel: threading.Event | None = None) -> tuple[StageContext, Record]:
    record = Record()
    cancel = threading.Event() if cancel is None else cancel
    if cancelled:
        cancel.set()
    clock = JobClock([1.0])
    return StageContext(stage="tested", index=0, seed=7, sink=record, cancel=cancel, clock=clock), record
