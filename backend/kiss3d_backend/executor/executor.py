"""Runs jobs on however many workers there are: gives them out, and follows slots as they come and go.

The broker speaks to workers only through this. With one slot on this machine or many on others the rules are the same,
because each slot has a :class:`~kiss3d_backend.worker.supervisor.Supervisor` of its own.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from kiss3d_backend.config import WorkerLimits
from kiss3d_backend.executor.affinity import SlotState, choose_slot
from kiss3d_backend.executor.fleet import Fleet
from kiss3d_backend.worker.messages import StartJob, WorkerNetworks
from kiss3d_backend.worker.supervisor import Notice, Supervisor, Told, WorkerState
from kiss3d_protocol.errors import JobNotWaiting, Kiss3DError, WorkerDied

_log = logging.getLogger(__name__)


class Executor:
    """Belongs to the broker's thread; ``notify`` is called on others. Hand its notices to :meth:`handle`."""

    def __init__(
        self,
        fleet: Fleet,
        notify: Callable[[Notice], None],
        limits: WorkerLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet = fleet
        self._notify = notify
        self._limits = limits
        self._clock = clock
        self._supervisors: dict[str, Supervisor] = {}
        self._needs: dict[tuple[str, str], frozenset[str]] = {}
        """By recipe and preset, what such a job called for last. Workers tell it: the broker knows no recipe."""

    @property
    def jobs(self) -> tuple[str, ...]:
        """Those that run."""
        return tuple(each.job for each in self._supervisors.values() if each.job is not None)

    @property
    def can_run(self) -> bool:
        """Whether a job could begin now."""
        return any(each.state is WorkerState.IDLE for each in self._supervisors.values())

    @property
    def start_problem(self) -> Kiss3DError | None:
        """Why no job can run on any slot, when that is known."""
        problems = [each.start_problem for each in self._supervisors.values()]
        return problems[0] if problems and all(problems) else None

    @property
    def problems(self) -> list[Kiss3DError]:
        """What keeps jobs from running, or keeps some slots from it; each once."""
        found = [self._fleet.problem, *(each.start_problem for each in self._supervisors.values())]
        return list({problem.code: problem for problem in found if problem is not None}.values())

    def slots(self) -> tuple[SlotState, ...]:
        """As they are now, in the order in which they came."""
        return tuple(
            SlotState(each.slot, each.state, each.job, frozenset(each.networks.loaded), each.alive)
            for each in self._supervisors.values()
        )

    def run(self, start: StartJob) -> None:
        """Gives a job to the slot that suits it best. Only when :attr:`can_run`."""
        needs = self._needs.get((start.params.recipe, start.params.preset), frozenset())
        slot = choose_slot(self.slots(), needs)
        if slot is None:
            raise RuntimeError("no worker can take a job")
        self._supervisors[slot].run(start)
        _log.info("job %s: given to %s", start.job, slot, extra={"job": start.job})

    def cancel(self, job: str) -> bool:
        """Stops the job if it runs; its end comes as an event within ``limits.cancel`` seconds."""
        return any(each.cancel(job) for each in self._supervisors.values())

    def choose(self, job: str, indices: tuple[int, ...]) -> None:
        """Tells the job which bundles to go on with. Raises as :meth:`Supervisor.choose` does."""
        for each in self._supervisors.values():
            if each.job == job:
                each.choose(job, indices)
                return
        raise JobNotWaiting("The job does not run, so there is nothing to choose.")

    def handle(self, notice: Notice) -> list[Told]:
        """Takes a notice; returns what it means for a job, if anything."""
        supervisor = self._supervisors.get(notice.slot)
        if supervisor is None:
            return []
        running = supervisor.running
        if isinstance(notice.message, WorkerNetworks) and running is not None:
            self._needs[running.params.recipe, running.params.preset] = frozenset(notice.message.used)
        return supervisor.handle(notice)

    def tick(self) -> list[Told]:
        """Does what is due, and returns what it means for jobs. Call it several times a second."""
        there = self._fleet.slots()
        told: list[Told] = []
        for slot in [slot for slot in self._supervisors if slot not in there]:
            _log.warning("%s has gone", slot)
            told += self._supervisors.pop(slot).lose(WorkerDied("The machine of the worker has left the cluster."))
        for slot, launch in there.items():
            if slot not in self._supervisors:
                self._supervisors[slot] = Supervisor(slot, launch, self._notify, self._limits, self._clock)
        for each in self._supervisors.values():
            each.tick()
        return told

    def close(self) -> None:
        """Ends all workers; jobs that run are told of no more."""
        for each in self._supervisors.values():
            each.close()
