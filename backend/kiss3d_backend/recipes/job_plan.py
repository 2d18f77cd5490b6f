"""The plan of one job at work: the library follows it, and a lower one when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from kiss3d_backend.devices.plan import Plan
from kiss3d_backend.pipeline.memory import MemoryUse

if TYPE_CHECKING:
    from kiss3d_backend.networks.library import Library

_log = logging.getLogger(__name__)


class JobPlan:
    """The :class:`kiss3d_backend.pipeline.memory.RunningPlan` of recipes that need networks.

    ``plans``: the one to start with and those below it. ``lowered``: told of each lower plan that was taken.
    ``unbound``: what the first would be without the budget that was asked for, None where none was.
    """

    def __init__(
        self,
        library: Library,
        plans: Sequence[Plan],
        lowered: Callable[[Plan], None] = lambda _: None,
        unbound: Plan | None = None,
    ) -> None:
        self._library = library
        self._plans = tuple(plans)
        self._rung = 0
        self._lowered = lowered
        self._unbound = unbound
        self._library.follow(self.plan)

    @property
    def plan(self) -> Plan:
        return self._plans[self._rung]

    @property
    def name(self) -> str:
        return self.plan.name

    @property
    def lowest(self) -> bool:
        return self._rung == len(self._plans) - 1

    def begin(self, stage: str) -> MemoryUse:
        """What is planned depends on what is loaded already: a job after its like needs less time and more memory."""
        plan, loaded = self.plan, self._library.loaded
        use = plan.use_of(stage, loaded)
        if use is None:
            return MemoryUse()
        self._library.reserve(plan.work_without_networks(stage))
        planned = next(each for each in plan.cold if each.stage == stage)
        # Its own files first, which it is about to map.
        self._library.read_ahead(
            [name for name in (*planned.loads, *planned.prefetch) if name not in loaded] if planned.prefetch else []
        )
        vram, ram = use
        return MemoryUse(vram=vram, ram=ram)

    def used(self, stage: str) -> Mapping[str, str]:
        """Of a stage that FLUX's transformer computes in: where it is, and whether that is because of the budget."""
        demands = (demand for demand in self.plan.demands if demand.stage == stage)
        if not any("flux transformer" in phase.uses for demand in demands for phase in demand.phases):
            return {}
        residence = _residence(self.plan)
        bound = self._unbound is not None and residence != _residence(self._unbound) and not self._rung
        return {"transformer": residence, **({"bound_by": "budget"} if bound else {})}

    def lower(self) -> None:
        self._rung += 1
        _log.warning("memory ran out; the plan is now: %s", self.plan.name)
        self._lowered(self.plan)
        self._library.clear()
        self._library.follow(self.plan)


def _residence(plan: Plan) -> str:
    return plan.components["flux transformer"].residence
