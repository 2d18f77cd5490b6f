"""The transport over ZeroMQ: a DEALER socket and a pair of sockets to wake its thread."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence

import zmq

from kiss3d_protocol.address import Address
from kiss3d_protocol.errors import AddressInvalid
from kiss3d_protocol.framing import MAX_BLOB_TO_CLIENT
from kiss3d_protocol.payloads import Blob

LINGER_MS = 500
ZERO_COPY_FROM = 1 << 16


class ZeroMQTransport:
    """Connects to ``address`` now and again after every loss; :meth:`receive` shows what comes.

    Raises :class:`AddressInvalid` for what ZeroMQ does not take for an address.
    """

    def __init__(self, address: Address) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_BLOB_TO_CLIENT)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 100)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 2000)
        self._socket.setsockopt(zmq.CONNECT_TIMEOUT, 5000)
        self._socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
        self._socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        self._socket.setsockopt(zmq.IPV6, int(address.host.startswith("[")))
        try:
            self._socket.connect(str(address))
        except zmq.ZMQError as error:
            self._socket.close(linger=0)
            self._context.term()
            raise AddressInvalid(f"'{address}' cannot be connected to ({error.strerror}).") from error
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._wake_reader, zmq.POLLIN)

    def send(self, frames: Sequence[Blob]) -> None:
        # Without a peer the messages of a dead connection would pile up: the session repeats what matters.
        with contextlib.suppress(zmq.Again):
            self._socket.send_multipart(frames, flags=zmq.DONTWAIT, copy=False)

    def receive(self, timeout: float) -> list[Blob] | None:
        ready = dict(self._poller.poll(int(max(timeout, 0.0) * 1000)))
        if self._wake_reader.fileno() in ready:
            with contextlib.suppress(BlockingIOError):
                self._wake_reader.recv(4096)
        if self._socket not in ready:
            return None
        frames = self._socket.recv_multipart(copy=False)
        return [frame.buffer if len(frame) >= ZERO_COPY_FROM else frame.bytes for frame in frames]

    def wake(self) -> None:
        # A full buffer means that a wake-up is already on its way; a closed one that nobody waits.
        with contextlib.suppress(BlockingIOError, OSError):
            self._wake_writer.send(b"\0")

    def close(self) -> None:
        self._socket.close()
        self._context.term()
        self._wake_reader.close()
        self._wake_writer.close()
