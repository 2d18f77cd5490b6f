"""What is known about a run after it."""

from __future__ import annotations

import attrs

from kiss3d_backend.pipeline.events import JobWarning


@attrs.frozen
class StageReport:
    """One stage that ran. ``seconds``: wall-clock time. ``from_checkpoint``: it had been made before.

    ``plan``: the name of the plan that it ended with. ``planned_vram``, ``planned_ram``, ``peak_vram``, ``peak_ram``:
    bytes as :class:`kiss3d_backend.pipeline.memory.MemoryUse` counts them; ``allocated_vram``: the most that tensors
    took of them. None is not known. ``lowered``: how often memory ran out and the next lower plan was taken.
    """

    name: str
    title: str
    seconds: float
    from_checkpoint: bool = False
    plan: str = ""
    planned_vram: int | None = None
    planned_ram: int | None = None
    peak_vram: int | None = None
    peak_ram: int | None = None
    allocated_vram: int | None = None
    lowered: int = 0


@attrs.frozen
class RunReport:
    """A finished run. ``seconds``: wall-clock time of the whole."""

    recipe: str
    stages: tuple[StageReport, ...]
    warnings: tuple[JobWarning, ...]
    seconds: float
