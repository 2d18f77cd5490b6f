"""The order in which jobs run: first come, first served."""

from __future__ import annotations

from kiss3d_protocol.errors import QueueFull

MAX_QUEUED = 1000


class JobQueue:
    """Ids of waiting jobs. Pure: no clock, no disk."""

    def __init__(self, limit: int = MAX_QUEUED) -> None:
        self._limit = limit
        self._waiting: list[str] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def check_room(self) -> None:
        """Raises :class:`QueueFull` when not one more fits."""
        if len(self._waiting) >= self._limit:
            raise QueueFull(f"{len(self._waiting)} jobs are waiting already.")

    def add(self, job: str) -> int:
        """Puts a job at the end; returns how many stand before it."""
        self._waiting.append(job)
        return len(self._waiting) - 1

    def take(self) -> str | None:
        """The job whose turn it is, or None."""
        return self._waiting.pop(0) if self._waiting else None

    def remove(self, job: str) -> bool:
        """Takes a job out; False when it was not waiting."""
        if job not in self._waiting:
            return False
        self._waiting.remove(job)
        return True

    def positions(self) -> list[tuple[str, int]]:
        """Every waiting job with the number of jobs before it."""
        return [(job, position) for position, job in enumerate(self._waiting)]
