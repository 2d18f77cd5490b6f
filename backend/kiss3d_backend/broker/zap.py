"""The doorkeeper of the socket: ZeroMQ asks it about every client before the first message (ZAP, RFC 27).

It runs in the loop of the broker, in no thread of its own, so the allow list belongs to one thread. Every request is
answered; an answer that does not come would leave a client in its handshake.
"""

from __future__ import annotations

from collections.abc import Callable

import zmq

from kiss3d_protocol.security import ZAP_DOMAIN, key_from_bytes

ENDPOINT = "inproc://zeromq.zap.01"
VERSION = b"1.0"


class Doorkeeper:
    """Answers for the sockets of ``context``; made before they are bound.

    ``allows`` says whether a public key (Z85) may come in. ``turned_away`` is told who may not: the key, or empty where
    there was none, and the IP address that it came from.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        allows: Callable[[str], bool],
        turned_away: Callable[[str, str], None],
        domain: str = ZAP_DOMAIN,
    ) -> None:
        self._allows = allows
        self._turned_away = turned_away
        self._domain = domain.encode("ascii")
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.bind(ENDPOINT)

    def answer(self) -> None:
        """Answers every request that waits."""
        while True:
            try:
                sender, _, *request = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            number = request[1] if len(request) > 1 else b""
            key = self._judge(request)
            status = [b"200", b"", key.encode("ascii"), b""] if key else [b"400", b"", b"", b""]
            self.socket.send_multipart([sender, b"", VERSION, number, *status])

    def close(self) -> None:
        self.socket.close()

    def _judge(self, request: list[bytes]) -> str:
        """The key of a client that may come in, which becomes the user id of all its messages; else empty."""
        match request:
            case [version, _, domain, address, _, mechanism, credential] if len(credential) == 32:
                known = (version, domain, mechanism) == (VERSION, self._domain, b"CURVE")
                key, place = key_from_bytes(credential), address.decode("ascii", "replace")
            case _:
                known, key, place = False, "", "unknown"
        if known and self._allows(key):
            return key
        self._turned_away(key, place)
        return ""
