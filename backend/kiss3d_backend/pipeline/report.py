"""What is known about a run after it."""

from __future__ import annotations

import attrs

from kiss3d_backend.pipeline.events import JobWarning


@attrs.frozen
class StageReport:
    """One stage that ran. ``seconds``: wall-clock time. ``from_checkpoint``: it had been made before."""

    name: str
    title: str
    seconds: float
    from_checkpoint: bool = False


@attrs.frozen
class RunReport:
    """A finished run. ``seconds``: wall-clock time of the whole."""

    recipe: str
    stages: tuple[StageReport, ...]
    warnings: tuple[JobWarning, ...]
    seconds: float
