"""The order in which jobs run: clients take turns, and the jobs of one client run first come, first served."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import zip_longest

from kiss3d_protocol.errors import QueueFull, TooManyJobs

MAX_QUEUED = 4000
MAX_QUEUED_OF_ONE = 500
"""Of one client. So it takes several to fill the queue for everybody else."""


class JobQueue:
    """Ids of waiting jobs, and whose they are. Pure: no clock, no disk.

    The next turn is of the client whose last one is longest ago, and one that had none yet comes before all others. So
    a job waits for at most one of every other client, however many these have queued.
    """

    def __init__(self, limit: int = MAX_QUEUED, limit_of_one: int = MAX_QUEUED_OF_ONE) -> None:
        self._limit = limit
        self._limit_of_one = limit_of_one
        self._client_of: dict[str, str] = {}
        self._waiting: dict[str, deque[str]] = {}
        self._last_turn: dict[str, int] = {}
        self._turns = 0

    def __len__(self) -> int:
        return len(self._client_of)

    def check_room(self, client: str) -> None:
        """Raises :class:`QueueFull` when not one more fits, and :class:`TooManyJobs` when none of this client does."""
        if len(self) >= self._limit:
            raise QueueFull(f"{len(self)} jobs are waiting already.")
        own = len(self._waiting.get(client, ()))
        if own >= self._limit_of_one:
            raise TooManyJobs(f"{own} of your jobs are waiting already.")

    def place_of_next(self, client: str) -> int:
        """How many jobs would stand before one that this client adds now."""
        own = [*self._waiting.get(client, ()), ""]
        return self._in_order({**self._waiting, client: own}).index("")

    def add(self, job: str, client: str) -> None:
        """Puts a job behind the others of its client."""
        self._client_of[job] = client
        self._waiting.setdefault(client, deque()).append(job)

    def take(self) -> str | None:
        """The job whose turn it is, or None."""
        if not self._waiting:
            return None
        client = min(self._waiting, key=self._turn_of)
        self._turns += 1
        self._last_turn[client] = self._turns
        job = self._waiting[client][0]
        self.remove(job)
        return job

    def remove(self, job: str) -> bool:
        """Takes a job out; False when it was not waiting."""
        client = self._client_of.pop(job, None)
        if client is None:
            return False
        self._waiting[client].remove(job)
        if not self._waiting[client]:
            del self._waiting[client]
        return True

    def positions(self) -> list[tuple[str, int]]:
        """Every waiting job with the number of jobs before it, in the order in which they will run."""
        return [(job, place) for place, job in enumerate(self._in_order(self._waiting))]

    def _in_order(self, waiting: Mapping[str, Sequence[str]]) -> list[str]:
        in_turn = [waiting[client] for client in sorted(waiting, key=self._turn_of)]
        return [job for of_one_round in zip_longest(*in_turn) for job in of_one_round if job is not None]

    def _turn_of(self, client: str) -> int:
        return self._last_turn.get(client, 0)
