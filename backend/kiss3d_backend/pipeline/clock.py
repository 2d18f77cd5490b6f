"""How far a job is, and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

_SOONEST_ETA_SECONDS = 0.3
_SMALLEST_ETA_FRACTION = 0.03


class JobClock:
    """Turns steps within weighted stages into the fraction of a whole job.

    ``weights``: the relative time of each stage, in order. ``now``: a monotonic clock in seconds.
    """

    def __init__(self, weights: Sequence[float], now: Callable[[], float] = time.monotonic) -> None:
        if not weights or min(weights) <= 0:
            raise ValueError("every stage needs a weight above zero")
        self._weights = tuple(weights)
        self._total = float(sum(weights))
        self._now = now
        self._started = now()
        self._fraction = 0.0

    def advance(self, index: int, step: int, steps: int) -> tuple[float, float | None]:
        """The fraction of the job done (0 to 1, never falling) and the seconds left, when that can be told yet.

        ``index``: the stage, from 0; ``step`` of ``steps`` of it are done.
        """
        within = min(max(step / max(steps, 1), 0.0), 1.0)
        reached = (sum(self._weights[:index]) + self._weights[index] * within) / self._total
        self._fraction = max(self._fraction, min(reached, 1.0))
        return self._fraction, self._seconds_left()

    def leave_out(self, seconds: float) -> None:
        """Does not count time in which the job waited for a person."""
        self._started += seconds

    def _seconds_left(self) -> float | None:
        elapsed = self._now() - self._started
        if elapsed < _SOONEST_ETA_SECONDS or self._fraction < _SMALLEST_ETA_FRACTION:
            return None
        return elapsed * (1.0 - self._fraction) / self._fraction
