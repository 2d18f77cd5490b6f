"""One worker as its supervisor sees it, wherever it runs: a process of this machine, or an actor on another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from kiss3d_backend.worker.messages import FromWorker, ToWorker
from kiss3d_protocol.errors import WorkerDied


@attrs.frozen
class Ended:
    """The last word about a worker: it has ended, of itself or by somebody's hand. ``why``: as far as it is known."""

    why: WorkerDied


Tell = Callable[[FromWorker | Ended], None]
"""Takes what a worker says, on any thread. After :class:`Ended` nothing comes any more."""


class WorkerProcess(Protocol):
    """A worker that was launched. All methods return at once, but for :meth:`close`."""

    @property
    def title(self) -> str:
        """For the log: which one it is."""
        ...

    @property
    def remote(self) -> bool:
        """Whether it is on the other side of a network. Its silence may then be the network's, and no fault of its."""
        ...

    def say(self, message: ToWorker) -> None:
        """Gives an order. One that has ended does not get it; its end is told."""
        ...

    def kill(self) -> None:
        """Ends it by force; :class:`Ended` is told soon after, whether or not its machine can be reached."""
        ...

    def close(self, seconds: float) -> None:
        """Ends it politely, and by force when it has not ended by then. Blocks for so long."""
        ...


class Launch(Protocol):
    """Starts a worker. ``tell`` takes what it says; ``job`` says which job runs there, for what libraries print.

    Raises OSError when it cannot be started.
    """

    def __call__(self, tell: Tell, job: Callable[[], str | None]) -> WorkerProcess: ...
