"""The clients that have said hello, and which jobs each of them follows."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from kiss3d_backend.broker.in_flight import InFlight
from kiss3d_backend.broker.older import in_older_words
from kiss3d_backend.broker.outbox import Letter, Outbox
from kiss3d_backend.clients.identity import ClientIdentity
from kiss3d_protocol.deletion import Deleted
from kiss3d_protocol.errors import TooManyRequests
from kiss3d_protocol.pairing import NewBackendKey
from kiss3d_protocol.version import HEARTBEAT_SECONDS, PROTOCOL_MINOR

FORGOTTEN_AFTER_HEARTBEATS = 10
MOST_CONNECTIONS_OF_ONE = 64
DELETED_SINCE_MINOR = NEW_KEYS_SINCE_MINOR = 3


@define(eq=False)
class Session:
    """One connection of one client. ``minor``: of the version of the protocol that it speaks.

    ``key`` is the public key that the connection proved, ``owner`` the client whose key it was at the hello;
    ``opened`` when that was, on the clock of ``last_heard``.
    """

    identity: bytes
    client: str
    last_heard: float
    key: str
    owner: ClientIdentity
    opened: float
    minor: int = PROTOCOL_MINOR
    outbox: Outbox = field(factory=Outbox)
    follows: set[str] = field(factory=set[str])
    follows_pull: bool = False
    in_flight: InFlight = field(factory=InFlight)

    def post(self, letter: Letter) -> None:
        """Puts a letter into the outbox, in words that the client knows."""
        self.outbox.put(in_older_words(letter, self.minor))


class Sessions:
    """All connections, by the identity that the socket gave them."""

    def __init__(self, heartbeat_seconds: float = HEARTBEAT_SECONDS) -> None:
        self._patience = FORGOTTEN_AFTER_HEARTBEATS * heartbeat_seconds
        self._by_identity: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._by_identity)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_identity.values()))

    def open(
        self,
        identity: bytes,
        client: str,
        now: float,
        minor: int = PROTOCOL_MINOR,
        *,
        key: str,
        owner: ClientIdentity,
    ) -> Session:
        """A client said hello. Saying it again keeps what it follows. Raises :class:`TooManyRequests`."""
        session = self._by_identity.get(identity)
        if session is None:
            if sum(other.owner.id == owner.id for other in self) >= MOST_CONNECTIONS_OF_ONE:
                raise TooManyRequests(f"This client has {MOST_CONNECTIONS_OF_ONE} connections already.")
            session = self._by_identity[identity] = Session(identity, client, now, key, owner, now)
        session.last_heard, session.minor = now, minor
        return session

    def get(self, identity: bytes, now: float) -> Session | None:
        """The session that a message belongs to, or None for a stranger."""
        session = self._by_identity.get(identity)
        if session is not None:
            session.last_heard = now
        return session

    def close(self, session: Session) -> None:
        """Its jobs go on; the client comes back with a hello."""
        self._by_identity.pop(session.identity, None)

    def expire(self, now: float) -> list[Session]:
        """Forgets silent clients and those that do not read; returns them."""
        gone = [s for s in self if now - s.last_heard > self._patience or s.outbox.full]
        for session in gone:
            self.close(session)
        return gone

    def publish(self, job: str, letter: Letter) -> None:
        """Puts a letter into the outbox of each client that follows the job."""
        for session in self:
            if job in session.follows:
                session.post(letter)

    def publish_deleted(self, job: str) -> None:
        """Tells each client that follows the job that it is gone."""
        for session in self:
            if job in session.follows:
                session.follows.discard(job)
                if session.minor >= DELETED_SINCE_MINOR:
                    session.post(Letter(Deleted(job)))

    def publish_key(self, public_key: str) -> None:
        """Tells each client that can understand it that the backend is about to have another key."""
        for session in self:
            if session.minor >= NEW_KEYS_SINCE_MINOR:
                session.post(Letter(NewBackendKey(public_key)))

    def publish_pull(self, letter: Letter, *, end: bool) -> None:
        """Puts a letter into the outbox of each client that follows the pull; after its end nobody does."""
        for session in self:
            if session.follows_pull:
                session.post(letter)
                session.follows_pull = not end
