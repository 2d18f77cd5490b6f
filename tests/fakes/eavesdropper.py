"""Somebody on the way between a client and a backend who writes down every byte."""

from __future__ import annotations

import contextlib
import socket
import threading

from kiss3d_protocol.address import parse_address


class Eavesdropper:
    """A TCP proxy at ``address`` to the backend at ``target``; ``heard`` is all that went through it, both ways."""

    def __init__(self, target: str) -> None:
        self.heard = bytearray()
        self._target = parse_address(target)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Eavesdropper:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Ends every connection that stands; new ones may be made."""
        while self._open:
            each = self._open.pop()
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                backend = socket.create_connection((self._target.host, self._target.port))
                self._open += [client, backend]
                for source, sink in ((client, backend), (backend, client)):
                    threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.heard += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
