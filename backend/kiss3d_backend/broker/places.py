"""Who is told a new place in the queue, and when: only those whose place has changed, and not at every change."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kiss3d_backend.jobs.book import Posted
from kiss3d_protocol.messages import Queued

PAUSE_SECONDS = 0.5
"""A thousand waiting jobs change their places with every job that starts."""


class Places:
    """``positions`` gives a passing event for each waiting job."""

    def __init__(self, positions: Callable[[], Sequence[Posted]]) -> None:
        self._positions = positions
        self._told: dict[str, int] = {}
        self._changed = False
        self._next = 0.0

    def change(self) -> None:
        """Something has come into the queue, or has left it."""
        self._changed = True

    def due(self, now: float) -> list[Posted]:
        """What is to be told at ``now``, in seconds of a steady clock."""
        if not self._changed or now < self._next:
            return []
        self._changed, self._next = False, now + PAUSE_SECONDS
        before, self._told = self._told, {}
        new: list[Posted] = []
        for posted in self._positions():
            event = posted.event
            assert isinstance(event, Queued)
            self._told[event.job] = event.position
            if before.get(event.job) != event.position:
                new.append(posted)
        return new
