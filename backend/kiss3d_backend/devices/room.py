"""Which loaded networks make room for the next one. The planner foresees with it, and the worker's shelf does it."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen


@frozen
class Place:
    """A network's place on the device. Bytes: ``nbytes`` of weights, ``work`` beside them while it is used. ``keep``:
    it stays before those that are not kept."""

    name: str
    nbytes: int
    work: int = 0
    keep: bool = False


def releases(loaded: Iterable[Place], wanted: Place, limit: int) -> tuple[Place, ...]:
    """Those of ``loaded`` that have to go before ``wanted`` is used, in this order.

    ``loaded``: the one that was used longest ago first; ``wanted`` may be among them. Those that are not kept go first.
    When ``wanted`` alone is more than ``limit``, all others go.
    """
    others = [place for place in loaded if place.name != wanted.name]
    taken = wanted.nbytes + wanted.work + sum(place.nbytes for place in others)
    going: list[Place] = []
    for place in sorted(others, key=lambda place: place.keep):
        if taken <= limit:
            break
        taken -= place.nbytes
        going.append(place)
    return tuple(going)
