"""Loaded networks that stay warm while there is room: the next job, and the next stage, need not load them again."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from kiss3d_backend.devices.room import Place, releases
from kiss3d_backend.networks.loading import note_load, note_use

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Slot(Generic[T]):
    """One network on a shelf. Call it to get the network, loaded now or before; keep no reference longer than needed.

    ``name``: for the log. ``nbytes``: what it will take on the device, before it is loaded. ``role``: under which name
    a plan speaks of it; several slots may have one, of which the one that was called last counts.
    """

    def __init__(self, shelf: Shelf, name: str, load: Callable[[], T], nbytes: Callable[[], int], role: str) -> None:
        self.name = name
        self.nbytes = nbytes
        self.role = role
        self._shelf = shelf
        self._load = load
        self._network: T | None = None

    @property
    def loaded(self) -> bool:
        return self._network is not None

    def __call__(self) -> T:
        note_use(self.name)
        self._shelf.make_room(self)
        if self._network is None:
            started = time.monotonic()
            self._network = self._load()
            seconds = time.monotonic() - started
            note_load(self.name, seconds)
            _log.info("loaded %s in %.1f s", self.name, seconds)
        return self._network

    def release(self) -> None:
        """It is not needed again soon: frees it, unless the plan keeps it or somebody still holds it."""
        if not self._shelf.place(self).keep:
            self.drop()

    def drop(self) -> None:
        """Frees the network, unless somebody still holds it."""
        if self._network is None:
            return
        self._network = None
        _log.info("released %s", self.name)
        _free_memory()


class Shelf:
    """Holds networks up to ``limit`` bytes, with what they need while they are used; others make room for the next.

    Which, and what stays, is as :func:`kiss3d_backend.devices.room.releases` has it: what a plan keeps goes last, and
    otherwise what was used longest ago goes first. For one thread. A network that alone is larger than the limit is
    loaded all the same, with nothing beside it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places: Mapping[str, Place] = {}
        self._slots: list[Slot[Any]] = []
        self._called: dict[str, Slot[Any]] = {}

    def add(self, name: str, load: Callable[[], T], nbytes: Callable[[], int], role: str = "") -> Slot[T]:
        """A place for a network; nothing is loaded yet. ``role``: the slot's name by default."""
        slot = Slot(self, name, load, nbytes, role or name)
        self._slots.append(slot)
        return slot

    def follow(self, places: Mapping[str, Place], limit: int) -> None:
        """From now on with these places, by role, and this limit. What is loaded stays until its room is wanted."""
        self._places, self._limit = places, limit

    def place(self, slot: Slot[Any]) -> Place:
        """As the plan has it; a network that the plan does not speak of is not kept."""
        planned = self._places.get(slot.role)
        if planned is None or self._called.get(slot.role, slot) is not slot:
            return Place(slot.name, slot.nbytes())
        return Place(slot.name, planned.nbytes, planned.work, planned.keep)

    @property
    def loaded(self) -> tuple[str, ...]:
        """The roles of what is loaded, the one that was used longest ago first."""
        return tuple(slot.role for slot in self._slots if slot.loaded and self._called.get(slot.role) is slot)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is loaded."""
        return tuple(slot.name for slot in self._slots if slot.loaded)

    def make_room(self, wanted: Slot[Any]) -> None:
        """Marks ``wanted`` as used now, and frees others until it has room."""
        self._slots.remove(wanted)
        self._slots.append(wanted)
        self._called[wanted.role] = wanted
        self._release_for(self.place(wanted))

    def reserve(self, work: int) -> None:
        """Frees networks until so many bytes have room beside them, for work without a network."""
        self._release_for(Place("", 0, work))

    def clear(self) -> None:
        """Frees everything."""
        for slot in self._slots:
            slot.drop()

    def _release_for(self, wanted: Place) -> None:
        places = {slot.name: slot for slot in self._slots if slot.loaded}
        for place in releases([self.place(slot) for slot in places.values()], wanted, self._limit):
            places[place.name].drop()


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
