"""Which worker a job is given to. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from kiss3d_backend.worker.messages import WorkerAlive
from kiss3d_backend.worker.supervisor import WorkerState


@frozen
class SlotState:
    """A place where one job at a time runs. ``job``: the one that does. ``loaded``: the networks that its worker has in
    memory. ``alive``: its last heartbeat, None before the first."""

    slot: str
    state: WorkerState
    job: str | None = None
    loaded: frozenset[str] = frozenset()
    alive: WorkerAlive | None = None


def choose_slot(slots: Sequence[SlotState], needs: frozenset[str]) -> str | None:
    """The idle slot that has most of these networks loaded, or None when no slot is idle.

    Among equals the one with the fewest others, so that a job which needs none leaves warm workers to those that do;
    then the first. A busy slot is never waited for: loading takes less than most jobs.
    """
    idle = [slot for slot in slots if slot.state is WorkerState.IDLE]
    best = max(idle, key=lambda slot: (len(needs & slot.loaded), -len(slot.loaded - needs)), default=None)
    return None if best is None else best.slot
