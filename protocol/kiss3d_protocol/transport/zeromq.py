"""The transport over ZeroMQ: a DEALER socket with CURVE, what its handshakes come to, and a way to wake its thread."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Sequence

import zmq
from zmq.utils.monitor import recv_monitor_message

from kiss3d_protocol.address import Address
from kiss3d_protocol.diagnose import not_encrypted
from kiss3d_protocol.errors import AddressInvalid, ConnectionFailed, ConnectionLost, KeyRefused
from kiss3d_protocol.framing import MAX_BLOB_TO_CLIENT
from kiss3d_protocol.payloads import Blob
from kiss3d_protocol.security import ConnectionKeys, secure_client

LINGER_MS = 500
ZERO_COPY_FROM = 1 << 16
ALIVE_EVERY_MS = 2000
DEAD_AFTER_MS = 8000
AGAIN_SECONDS = 2.0
"""From a handshake that was refused to the next one: ZeroMQ itself gives up after such a refusal."""


class ZeroMQTransport:
    """Connects to ``address`` now and again after every loss; :meth:`receive` shows what comes.

    Raises :class:`AddressInvalid` for what ZeroMQ does not take for an address.
    """

    def __init__(self, address: Address, keys: ConnectionKeys) -> None:
        self._address = address
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_BLOB_TO_CLIENT)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        self._socket.setsockopt(zmq.CONNECT_TIMEOUT, 5000)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
        # A connection of which one half has died is given up by both sides: the session's own words would not end it.
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, ALIVE_EVERY_MS)
        self._socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, DEAD_AFTER_MS)
        self._socket.setsockopt(zmq.HEARTBEAT_TTL, 2 * DEAD_AFTER_MS)
        self._socket.setsockopt(zmq.IPV6, int(address.host.startswith("[")))
        secure_client(self._socket, keys)
        troubles = zmq.Event.HANDSHAKE_FAILED_AUTH | zmq.Event.HANDSHAKE_FAILED_PROTOCOL | zmq.Event.DISCONNECTED
        self._monitor = self._socket.get_monitor_socket(troubles)
        self._connect_again: float | None = None
        try:
            self._socket.connect(str(address))
        except zmq.ZMQError as error:
            self._close_sockets(linger=0)
            raise AddressInvalid(f"'{address}' cannot be connected to ({error.strerror}).") from error
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._poller = zmq.Poller()
        for each in (self._socket, self._monitor, self._wake_reader):
            self._poller.register(each, zmq.POLLIN)

    def send(self, frames: Sequence[Blob]) -> None:
        # Without a peer the messages of a dead connection would pile up: the session repeats what matters.
        with contextlib.suppress(zmq.Again):
            self._socket.send_multipart(frames, flags=zmq.DONTWAIT, copy=False)

    def receive(self, timeout: float) -> list[Blob] | None:
        self._connect_when_due()
        ready = dict(self._poller.poll(int(max(timeout, 0.0) * 1000)))
        if self._wake_reader.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                self._wake_reader.recv(4096)
        if self._monitor in ready and (trouble := self._trouble()) is not None:
            raise trouble
        if self._socket not in ready:
            return None
        frames = self._socket.recv_multipart(copy=False)
        return [frame.buffer if len(frame) >= ZERO_COPY_FROM else frame.bytes for frame in frames]

    def wake(self) -> None:
        # A full buffer means that a wake-up is already on its way; a closed one that nobody waits.
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_writer.send(b"\0")

    def close(self) -> None:
        self._close_sockets(linger=None)
        self._wake_reader.close()
        self._wake_writer.close()

    def _close_sockets(self, linger: int | None) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=linger)
        self._context.term()

    def _trouble(self) -> ConnectionFailed | None:
        event = recv_monitor_message(self._monitor)
        if event["event"] == zmq.Event.DISCONNECTED:
            # ZeroMQ connects again by itself.
            return ConnectionLost(f"The connection to {self._address} was lost.")
        # After each of the others ZeroMQ has given the connection up for good.
        self._connect_again = time.monotonic() + AGAIN_SECONDS
        if event["event"] == zmq.Event.HANDSHAKE_FAILED_AUTH:
            return KeyRefused(f"The backend at {self._address} does not know the key of this computer (any more).")
        if event["value"] == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
            return not_encrypted(self._address)
        return None

    def _connect_when_due(self) -> None:
        if self._connect_again is None or time.monotonic() < self._connect_again:
            return
        self._connect_again = None
        with contextlib.suppress(zmq.ZMQError):
            self._socket.disconnect(str(self._address))
        self._socket.connect(str(self._address))
