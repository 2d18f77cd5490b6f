"""Which networks are called for and how long they take to load, told to whoever runs the stage or the job. Imports no
torch."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import attrs


@attrs.frozen
class Load:
    """One network that was read from the disk. ``seconds``: wall-clock time."""

    name: str
    seconds: float


_noted: ContextVar[list[Load] | None] = ContextVar("noted", default=None)
_used: ContextVar[set[str] | None] = ContextVar("used", default=None)


@contextmanager
def noting_loads() -> Generator[list[Load]]:
    """Collects the loads that happen inside, on this thread, in their order."""
    loads: list[Load] = []
    token = _noted.set(loads)
    try:
        yield loads
    finally:
        _noted.reset(token)


def note_load(name: str, seconds: float) -> None:
    """A network has been loaded; nothing happens where nobody collects."""
    loads = _noted.get()
    if loads is not None:
        loads.append(Load(name, seconds))


@contextmanager
def noting_uses() -> Generator[set[str]]:
    """Collects the names of the networks that are called for inside, on this thread, loaded before or not."""
    names: set[str] = set()
    token = _used.set(names)
    try:
        yield names
    finally:
        _used.reset(token)


def note_use(name: str) -> None:
    """A network is called for; nothing happens where nobody collects."""
    names = _used.get()
    if names is not None:
        names.add(name)
