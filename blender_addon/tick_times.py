"""How long the main thread was held by each tick (no bpy): the measure of whether Blender stays smooth."""

from __future__ import annotations

import statistics
from collections import deque

from attrs import Factory, define

KEPT = 4096


def _new() -> deque[float]:
    return deque(maxlen=KEPT)


@define(eq=False)
class TickTimes:
    """Seconds of the newest ticks: ``plain`` ones, those with an ``update`` of a mesh that is still being made, and
    those with a ``final`` mesh or the undo step of a finished job."""

    plain: deque[float] = Factory(_new)
    update: deque[float] = Factory(_new)
    final: deque[float] = Factory(_new)

    def add(self, seconds: float, imported: str) -> None:
        """Notes a tick. ``imported``: the quality of the mesh that it put into the scene; empty when it did not."""
        kind = self.plain if not imported else self.final if imported == "final" else self.update
        kind.append(seconds)

    def summary(self) -> dict[str, dict[str, float]]:
        """For each kind of tick that there was: how many, and the median and the longest in milliseconds."""
        kinds = {"plain": self.plain, "update": self.update, "final": self.final}
        return {
            name: {
                "count": len(times),
                "median_ms": round(1000 * statistics.median(times), 3),
                "max_ms": round(1000 * max(times), 3),
            }
            for name, times in kinds.items()
            if times
        }
