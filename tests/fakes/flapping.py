"""A bad line between a client and a backend: slow and far, and its connections are cut, halved and doubled."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time

from attrs import define, field

from kiss3d_protocol.address import parse_address

PACKET = 4096


@define(eq=False)
class _Connection:
    """``deaf``: nothing of what the backend says arrives any more, though the connection stands."""

    sockets: list[socket.socket]
    deaf: bool = False
    buffers: list[queue.SimpleQueue[tuple[float, bytes]]] = field(factory=list)


class FlappingLine:
    """A TCP proxy at ``address`` to the backend at ``target``.

    ``bytes_per_second``: of all that the backend says, over all connections. ``delay``: seconds, each way. ``carried``:
    bytes that the backend has got rid of, also those that never arrived. ``connections``: how many were made.
    """

    def __init__(self, target: str, *, bytes_per_second: float, delay: float) -> None:
        self.carried = 0
        self.connections = 0
        self._target = parse_address(target)
        self._seconds_a_byte = 1.0 / bytes_per_second
        self._delay = delay
        self._doubled = False
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._standing: list[_Connection] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> FlappingLine:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Ends every connection; what is on its way is lost."""
        while self._standing:
            _close(self._standing.pop())

    def halve(self) -> None:
        """Every connection stands, but what the backend says is lost."""
        for each in self._standing:
            each.deaf = True

    def double(self) -> None:
        """Cuts; of the next connection every byte reaches the backend a second time, over a connection of its own."""
        self._doubled = True
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                self.connections += 1
                ears = [self._connect() for _ in range(2 if self._doubled else 1)]
                self._doubled = False
                connection = _Connection([client, *ears])
                self._standing.append(connection)
                self._start(self._listen, connection, client, ears)
                for number, ear in enumerate(ears):
                    self._start(self._listen, connection, ear, [client] if number == 0 else [])

    def _connect(self) -> socket.socket:
        backend = socket.socket()
        # So that what the line has not carried yet waits with the backend.
        backend.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PACKET)
        backend.connect((self._target.host, self._target.port))
        return backend

    def _start(self, task: object, *args: object) -> None:
        threading.Thread(target=task, args=args, daemon=True).start()  # pyright: ignore[reportArgumentType]

    def _listen(self, connection: _Connection, source: socket.socket, sinks: list[socket.socket]) -> None:
        from_backend = source is not connection.sockets[0]
        on_the_way: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        self._start(self._speak, connection, on_the_way, sinks)
        with contextlib.suppress(OSError):
            while data := source.recv(PACKET):
                if from_backend and sinks:
                    self._carry(len(data))
                    if connection.deaf:
                        continue
                on_the_way.put((time.monotonic() + self._delay, data))
        on_the_way.put((0.0, b""))
        _close(connection)

    def _carry(self, length: int) -> None:
        with self._lock:
            self.carried += length
            self._free_at = max(self._free_at, time.monotonic()) + length * self._seconds_a_byte
            wait = self._free_at - time.monotonic()
        time.sleep(max(wait, 0.0))

    def _speak(
        self,
        connection: _Connection,
        on_the_way: queue.SimpleQueue[tuple[float, bytes]],
        sinks: list[socket.socket],
    ) -> None:
        with contextlib.suppress(OSError):
            while (item := on_the_way.get())[1]:
                time.sleep(max(item[0] - time.monotonic(), 0.0))
                for sink in sinks:
                    sink.sendall(item[1])


def _close(connection: _Connection) -> None:
    for each in connection.sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
