"""What is known about a run after it."""

from __future__ import annotations

import attrs

from kiss3d_backend.networks.loading import Load
from kiss3d_backend.pipeline.events import JobWarning


@attrs.frozen
class Check:
    """A figure that was compared with a limit. ``name``: stable and dotted, as codes are.

    ``least``, ``most``: the range in which it is good, None for an open end. ``bundle``: of which bundle, from 0.
    ``view``: of which of its views, from 0; None for all of them.
    """

    name: str
    value: float
    least: float | None = None
    most: float | None = None
    bundle: int = 0
    view: int | None = None

    @property
    def passed(self) -> bool:
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)


@attrs.frozen
class StageReport:
    """One stage that ran. ``seconds``: wall-clock time. ``from_checkpoint``: it had been made before.

    ``plan``: the name of the plan that it ended with. ``planned_vram``, ``planned_ram``, ``peak_vram``, ``peak_ram``:
    bytes as :class:`kiss3d_backend.pipeline.memory.MemoryUse` counts them; ``allocated_vram``: the most that tensors
    took of them. None is not known. ``lowered``: how often memory ran out and the next lower plan was taken.
    ``completed``: False for the one in which the run ended early. ``loads``: networks that it had to load, within its
    seconds. ``used``: what of the machine it used, by stable names ("rasterizer").
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
    completed: bool = True
    loads: tuple[Load, ...] = ()
    checks: tuple[Check, ...] = ()
    used: dict[str, str] = attrs.field(factory=dict[str, str])


@attrs.frozen
class RunReport:
    """A finished run. ``seconds``: wall-clock time of the whole."""

    recipe: str
    stages: tuple[StageReport, ...]
    warnings: tuple[JobWarning, ...]
    seconds: float
