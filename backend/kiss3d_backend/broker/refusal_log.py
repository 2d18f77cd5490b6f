"""The log of those who were turned away: everybody is named, nobody can fill the disk with it."""

from __future__ import annotations

import logging

from attrs import define

_log = logging.getLogger(__name__)

PAUSE_SECONDS = 60.0
MOST_VISITORS = 256


@define
class _Visitor:
    told: float
    since: int = 0


class RefusalLog:
    """One line for a visitor at once, then at most one a minute that says how often.

    At most :data:`MOST_VISITORS` are told apart in a minute; the others are counted together.
    """

    def __init__(self) -> None:
        self._visitors: dict[str, _Visitor] = {}

    def note(self, visitor: str, now: float) -> None:
        """``visitor`` says who was turned away and why; ``now`` in seconds of a steady clock."""
        if visitor not in self._visitors and len(self._visitors) >= MOST_VISITORS:
            self._forget(now)
            if len(self._visitors) >= MOST_VISITORS:
                visitor = "many others"
        known = self._visitors.get(visitor)
        if known is None:
            self._visitors[visitor] = _Visitor(now)
            _log.warning("turned away: %s", visitor)
            return
        known.since += 1
        if now - known.told >= PAUSE_SECONDS:
            _log.warning("turned away: %s, %d more times", visitor, known.since)
            known.told, known.since = now, 0

    def _forget(self, now: float) -> None:
        for visitor, known in list(self._visitors.items()):
            if now - known.told >= PAUSE_SECONDS:
                if known.since:
                    _log.warning("turned away: %s, %d more times", visitor, known.since)
                del self._visitors[visitor]
