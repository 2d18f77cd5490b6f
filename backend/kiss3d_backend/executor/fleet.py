"""Where workers can be had, and the one that is always there: this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from kiss3d_backend.worker.local_process import launch_here
from kiss3d_backend.worker.process import Launch
from kiss3d_protocol.errors import Kiss3DError


class Fleet(Protocol):
    """Slots that come and go. Belongs to the broker's thread, and none of its methods waits for a network."""

    def slots(self) -> Mapping[str, Launch]:
        """Those that are there now, by their names, each with what launches its worker."""
        ...

    @property
    def problem(self) -> Kiss3DError | None:
        """Why there are no slots, or soon may be none."""
        ...

    def close(self) -> None:
        """Leaves the machines, after the end of all workers."""
        ...


class LocalFleet:
    """One slot, a child process of the broker."""

    problem = None

    def __init__(self, command: Sequence[str]) -> None:
        self._slots = {"local": launch_here(command)}

    def slots(self) -> Mapping[str, Launch]:
        return self._slots

    def close(self) -> None: ...
