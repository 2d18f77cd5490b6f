"""Loaded networks that stay warm while there is room: the next job, and the next stage, need not load them again."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from kiss3d_backend.networks.loading import note_load

_log = logging.getLogger(__name__)

T = TypeVar("T")


class Slot(Generic[T]):
    """One network on a shelf. Call it to get the network, loaded now or before; keep no reference longer than needed.

    ``name``: for the log. ``nbytes``: what it will take on the device, before it is loaded.
    """

    def __init__(self, shelf: Shelf, name: str, load: Callable[[], T], nbytes: Callable[[], int]) -> None:
        self.name = name
        self.nbytes = nbytes
        self._shelf = shelf
        self._load = load
        self._network: T | None = None

    @property
    def loaded(self) -> bool:
        return self._network is not None

    def __call__(self) -> T:
        self._shelf.make_room(self)
        if self._network is None:
            started = time.monotonic()
            self._network = self._load()
            seconds = time.monotonic() - started
            note_load(self.name, seconds)
            _log.info("loaded %s in %.1f s", self.name, seconds)
        return self._network

    def release(self) -> None:
        """Frees the network, unless somebody still holds it."""
        if self._network is None:
            return
        self._network = None
        _log.info("released %s", self.name)
        _free_memory()


class Shelf:
    """Holds networks up to ``limit`` bytes; the one that was used longest ago makes room for the next.

    For one thread. A network that alone is larger than the limit is loaded all the same, with nothing beside it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._slots: list[Slot[object]] = []

    def add(self, name: str, load: Callable[[], T], nbytes: Callable[[], int]) -> Slot[T]:
        """A place for a network; nothing is loaded yet."""
        slot = Slot(self, name, load, nbytes)
        self._slots.append(slot)  # pyright: ignore[reportArgumentType]
        return slot

    def make_room(self, wanted: Slot[T]) -> None:
        """Marks ``wanted`` as used now, and frees others until it has room."""
        self._slots.remove(wanted)  # pyright: ignore[reportArgumentType]
        self._slots.append(wanted)  # pyright: ignore[reportArgumentType]
        if wanted.loaded:
            return
        others = [slot for slot in self._slots if slot.loaded]
        taken = sum(slot.nbytes() for slot in others) + wanted.nbytes()
        for slot in others:
            if taken <= self._limit:
                return
            taken -= slot.nbytes()
            slot.release()

    def clear(self) -> None:
        """Frees everything."""
        for slot in self._slots:
            slot.release()


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
