"""What will be loaded, and how much memory each stage will take: a recipe walked through with the shelf's own rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from kiss3d_backend.devices.components import ComponentName
from kiss3d_backend.devices.demand import StageDemand
from kiss3d_backend.devices.room import Place, releases


@frozen
class Foreseen:
    """Of one stage. ``device``: the most bytes of weights and work at once where networks compute. ``host``: the most
    that lies in the processor's memory beside that. ``loads``: in order."""

    stage: str
    device: int
    host: int
    loads: tuple[ComponentName, ...]


@frozen
class Memory:
    """How the allocator takes more than it is asked for: factors of weights and of work."""

    weights: float
    work: float


def foresee(
    demands: Sequence[StageDemand],
    places: Mapping[str, Place],
    host: Mapping[str, int],
    limit: int,
    memory: Memory,
    loaded: Iterable[str] = (),
) -> tuple[list[Foreseen], list[str]]:
    """Each stage in turn, and what is loaded after the last, the one that was used longest ago first.

    ``places``: of the networks, as large as the allocator makes them. ``host``: bytes of each in the processor's
    memory. ``loaded``: what is there before.
    """
    there = [places[name] for name in loaded if name in places]
    foreseen: list[Foreseen] = []
    for demand in demands:
        most, most_host = 0, 0
        loads: list[ComponentName] = []
        for phase in demand.phases:
            work = int(phase.vram * memory.work)
            if not phase.uses:
                going = releases(there, Place("", 0, work), limit)
                there = [place for place in there if place not in going]
            for name in phase.uses:
                going = releases(there, places[name], limit)
                if places[name] not in there:
                    loads.append(name)
                there = [place for place in there if place not in going and place.name != name] + [places[name]]
            # Whoever called for a network still holds it, also when the shelf let it go.
            held = there + [places[name] for name in phase.uses if places[name] not in there]
            most = max(most, sum(place.nbytes for place in held) + work)
            most_host = max(most_host, sum(host.get(place.name, 0) for place in there) + phase.ram)
            there = [place for place in there if place.keep or place.name not in phase.done]
        foreseen.append(Foreseen(demand.stage, most, most_host, tuple(loads)))
    return foreseen, [place.name for place in there]
