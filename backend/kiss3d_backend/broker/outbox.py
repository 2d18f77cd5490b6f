"""What waits for one client: of what passes only the newest, and everything else, up to a limit.

Blobs are not held here: a letter names its artifacts, and they are read when its turn has come. Chunks of blobs wait
in a line of their own, so that news never wait behind a big mesh.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from pathlib import Path

from attrs import Factory, field, frozen

from kiss3d_protocol.errors import TooManyRequests
from kiss3d_protocol.fetching import Fetch
from kiss3d_protocol.framing import encode
from kiss3d_protocol.messages import Progress, Queued, ServerMessage
from kiss3d_protocol.models import PullProgress

MOST_LETTERS = 20_000
MOST_BYTES = 8 << 20
"""Of envelopes. Who lets more than one of these come together is forgotten, and told what was missed on coming back."""

MOST_FETCHES = 16


@frozen
class Letter:
    """One message to a client: its envelope (packed already for stored events), and what its blobs are: artifacts, and
    behind them other files.

    Raises :class:`MessageTooLarge` and :class:`MessageMalformed` for what cannot be packed.
    """

    content: ServerMessage | bytes
    artifacts: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    envelope: bytes = field(
        init=False, repr=False, eq=False, default=Factory(lambda self: _packed(self.content), takes_self=True)
    )

    @property
    def passing(self) -> Hashable | None:
        """What a newer letter of the same kind makes superfluous, or None."""
        if isinstance(self.content, Progress | Queued) and self.content.number == 0:
            return type(self.content), self.content.job
        return PullProgress if isinstance(self.content, PullProgress) else None


class Outbox:
    """Letters in order, and fetches in order. ``full`` when a client reads too slowly to be served at all."""

    def __init__(self, most_letters: int = MOST_LETTERS, most_bytes: int = MOST_BYTES) -> None:
        self._letters: OrderedDict[int, Letter] = OrderedDict()
        self._newest: dict[Hashable, int] = {}
        self._serial = 0
        self._bytes = 0
        self._most_letters = most_letters
        self._most_bytes = most_bytes
        self._fetches: deque[Fetch] = deque()

    def __len__(self) -> int:
        return len(self._letters)

    @property
    def full(self) -> bool:
        return len(self) >= self._most_letters or self._bytes >= self._most_bytes

    def holds(self, kind: type[ServerMessage]) -> bool:
        """Whether a message of this class waits."""
        return any(isinstance(letter.content, kind) for letter in self._letters.values())

    def put(self, letter: Letter) -> None:
        """Adds a letter at the end; one that passes removes the older one of its kind."""
        self._serial += 1
        if letter.passing is not None:
            older = self._newest.get(letter.passing)
            if older is not None:
                self._remove(older)
            self._newest[letter.passing] = self._serial
        self._letters[self._serial] = letter
        self._bytes += len(letter.envelope)

    def peek(self) -> Letter | None:
        """The letter whose turn it is."""
        return next(iter(self._letters.values()), None)

    def drop(self) -> None:
        """The letter whose turn it was has left."""
        self._remove(next(iter(self._letters)))

    def put_fetch(self, fetch: Fetch) -> None:
        """Adds a request for a chunk. Raises :class:`TooManyRequests`."""
        if len(self._fetches) >= MOST_FETCHES:
            raise TooManyRequests(f"More than {MOST_FETCHES} chunks were asked for at once.")
        self._fetches.append(fetch)

    def forget_fetches(self) -> None:
        """The client does not wait for them any more."""
        self._fetches.clear()

    def peek_fetch(self) -> Fetch | None:
        """The request whose turn it is."""
        return self._fetches[0] if self._fetches else None

    def drop_fetch(self) -> None:
        """The request whose turn it was has been answered."""
        self._fetches.popleft()

    def _remove(self, serial: int) -> None:
        letter = self._letters.pop(serial)
        self._bytes -= len(letter.envelope)
        if letter.passing is not None:
            del self._newest[letter.passing]


def _packed(content: ServerMessage | bytes) -> bytes:
    return content if isinstance(content, bytes) else bytes(encode(content)[1])
