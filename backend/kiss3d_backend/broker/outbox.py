"""What waits for one client: progress is coalesced, nothing else is ever dropped.

Blobs are not held here: an event names its artifacts, and they are read when its turn has come.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from attrs import frozen

from kiss3d_protocol.messages import Progress, Queued, ServerMessage
from kiss3d_protocol.models import PullProgress

MOST_WAITING = 20_000


@frozen
class Letter:
    """One message to a client: its envelope (packed already for stored events), and what its blobs are: artifacts, and
    behind them other files."""

    content: ServerMessage | bytes
    artifacts: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def passing(self) -> tuple[type[ServerMessage], str] | None:
        """What a newer letter of the same kind makes superfluous, or None."""
        if isinstance(self.content, Progress | Queued) and self.content.number == 0:
            return type(self.content), self.content.job
        if isinstance(self.content, PullProgress):
            return PullProgress, ""
        return None


class Outbox:
    """Letters in order. ``full`` when a client reads too slowly to be served at all."""

    def __init__(self, limit: int = MOST_WAITING) -> None:
        self._letters: deque[Letter] = deque()
        self._limit = limit

    def __len__(self) -> int:
        return len(self._letters)

    @property
    def full(self) -> bool:
        return len(self._letters) >= self._limit

    def holds(self, kind: type[ServerMessage]) -> bool:
        """Whether a message of this class waits."""
        return any(isinstance(letter.content, kind) for letter in self._letters)

    def put(self, letter: Letter) -> None:
        """Adds a letter; a passing one takes the place of an older one of its kind at the end of the line."""
        kind = letter.passing
        if kind is not None:
            # Only the tail is looked at: behind a numbered event a newer state must not overtake it.
            for index in range(len(self._letters) - 1, -1, -1):
                older = self._letters[index].passing
                if older is None:
                    break
                if older == kind:
                    del self._letters[index]
                    break
        self._letters.append(letter)

    def peek(self) -> Letter | None:
        """The letter whose turn it is."""
        return self._letters[0] if self._letters else None

    def drop(self) -> None:
        """The letter whose turn it was has left."""
        self._letters.popleft()
