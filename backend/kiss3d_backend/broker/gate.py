"""The socket of a backend, and who comes through it: CURVE, the doorkeeper, and a word in the log for the others."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

import zmq
from attrs import frozen
from zmq.utils.monitor import recv_monitor_message

from kiss3d_backend.broker.refusal_log import RefusalLog
from kiss3d_backend.broker.zap import Doorkeeper
from kiss3d_protocol.address import Address, parse_address
from kiss3d_protocol.errors import AddressInUse, AddressInvalid
from kiss3d_protocol.framing import MAX_BLOB_TO_SERVER, MAX_FRAMES
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.security import KeyPair, secure_backend

UNREAD_MESSAGES = 32
"""Messages that the socket holds for a client that does not read; the rest waits in its outbox, coalesced."""

HANDSHAKE_SECONDS = 5.0
"""Who has not proved a key by then is cut off."""

KEEPALIVE_SECONDS = 30
"""A connection whose other end has gone without a word is given up after four of these."""

LETTERS_IN_LOG = 8

REBIND_SECONDS = 10.0


@frozen
class Arrival:
    """One message: the connection that it came over, the public key that the connection proved, the frames."""

    connection: bytes
    key: str
    frames: list[Blob]


class Gate:
    """A bound ROUTER socket. ``allows`` says whether a public key may come in, ``name_of`` whose it was, for the log.

    Belongs to one thread. Raises :class:`AddressInUse` and :class:`AddressInvalid`.
    """

    def __init__(
        self,
        bind: Address,
        keys: KeyPair,
        allows: Callable[[str], bool],
        name_of: Callable[[str], str | None] = lambda key: None,
        handshake_seconds: float = HANDSHAKE_SECONDS,
    ) -> None:
        self._allows = allows
        self._handshake_seconds = handshake_seconds
        self._name_of = name_of
        self._refusals = RefusalLog()
        self._open(bind, keys)

    def rebind(self, keys: KeyPair) -> None:
        """Ends every connection and listens at the same address with other keys. What was sent still leaves.

        Sockets are other ones afterwards: :meth:`register` again. Raises :class:`AddressInUse`.
        """
        bind = parse_address(self.address)
        self.close()
        deadline = time.monotonic() + REBIND_SECONDS
        while True:
            try:
                self._open(bind, keys)
                return
            except AddressInUse:
                # The system may need a moment until nobody listens there.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _open(self, bind: Address, keys: KeyPair) -> None:
        self._context = zmq.Context()
        self._doorkeeper = Doorkeeper(self._context, self._allows, self._turned_away)
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 500)
        self._router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._router.setsockopt(zmq.MAXMSGSIZE, MAX_BLOB_TO_SERVER)
        self._router.setsockopt(zmq.SNDHWM, UNREAD_MESSAGES)
        self._router.setsockopt(zmq.HANDSHAKE_IVL, int(1000 * self._handshake_seconds))
        self._router.setsockopt(zmq.TCP_KEEPALIVE, 1)
        self._router.setsockopt(zmq.TCP_KEEPALIVE_IDLE, KEEPALIVE_SECONDS)
        self._router.setsockopt(zmq.TCP_KEEPALIVE_INTVL, KEEPALIVE_SECONDS)
        self._router.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
        self._router.setsockopt(zmq.IPV6, int(bind.host.startswith("[")))
        secure_backend(self._router, keys)
        self._failures = self._router.get_monitor_socket(zmq.Event.HANDSHAKE_FAILED_PROTOCOL)
        try:
            self._router.bind(str(bind).replace("localhost", "127.0.0.1"))
        except zmq.ZMQError as error:
            self.close()
            if error.errno == zmq.EADDRINUSE:
                raise AddressInUse(f"Another program uses {bind} already.") from error
            raise AddressInvalid(f"{bind} cannot be listened on ({error.strerror}).") from error
        self.address = str(self._router.getsockopt_string(zmq.LAST_ENDPOINT)).rstrip("\0")

    def register(self, poller: zmq.Poller) -> None:
        """Has ``poller`` wake up when there is something to do here."""
        for socket in (self._router, self._doorkeeper.socket, self._failures):
            poller.register(socket, zmq.POLLIN)

    def attend(self) -> None:
        """Answers those who knock, and notes those who do not know how."""
        self._doorkeeper.answer()
        with contextlib.suppress(zmq.Again):
            while True:
                recv_monitor_message(self._failures, zmq.DONTWAIT)
                # ZeroMQ does not say from where.
                self._note("somebody without this backend's keys or without CURVE")

    def receive(self) -> Arrival | None:
        """The next message of a client that was let in, or None."""
        while True:
            try:
                head = self._router.recv(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return None
            frames: list[Blob] = []
            while self._router.getsockopt(zmq.RCVMORE):
                frame = self._router.recv()
                if len(frames) <= MAX_FRAMES:
                    frames.append(frame)
            # The doorkeeper's word; what a client says of itself cannot stand in its place.
            key, connection = str(head.get("User-Id")), head.bytes
            # ZeroMQ's own names of connections begin with a zero and are never given twice. With a name that a client
            # chose, a later connection of another client could take over what is meant for the first.
            if connection[:1] == b"\0":
                return Arrival(connection, key, frames)
            self.refuse(key, "with a connection name of its own")

    def send(self, connection: bytes, frames: Sequence[Blob]) -> list[tuple[zmq.MessageTracker, int]]:
        """Returns for each frame that is not copied what tells of its departure, and its length.

        Raises :class:`zmq.Again` while the client does not read, another :class:`zmq.ZMQError` when it has gone.
        """
        self._router.send(connection, zmq.DONTWAIT | zmq.SNDMORE)
        sent: list[tuple[zmq.MessageTracker, int]] = []
        for left, frame in zip(reversed(range(len(frames))), frames, strict=True):
            more = zmq.SNDMORE if left else 0
            tracker = self._router.send(frame, zmq.DONTWAIT | more, copy=False, track=True)
            size = memoryview(frame).nbytes
            if size >= zmq.COPY_THRESHOLD:
                sent.append((tracker, size))
        return sent

    def refuse(self, key: str, why: str) -> None:
        """Notes a message that was dropped without an answer."""
        self._note(f"{self._whose(key)}, {why}")

    def close(self) -> None:
        """What was sent still leaves, for at most half a second."""
        self._router.disable_monitor()
        self._failures.close(linger=0)
        self._router.close()
        self._doorkeeper.close()
        self._context.term()

    def _turned_away(self, key: str, place: str) -> None:
        self._note(f"{self._whose(key)}, from {place}")

    def _whose(self, key: str) -> str:
        if not key:
            return "somebody without a key"
        name = self._name_of(key)
        return f"an unknown key ({key[:LETTERS_IN_LOG]}...)" if name is None else f"the revoked client {name}"

    def _note(self, visitor: str) -> None:
        self._refusals.note(visitor, time.monotonic())
