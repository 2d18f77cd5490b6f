"""The model backend behind a real ROUTER socket, in a thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import zmq
from tests.protocol.model_backend import ModelBackend

from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.security import secure_backend


class Router:
    """Serves ``backend`` at ``tcp://127.0.0.1:port`` (0: any) until :meth:`close`; ``mute`` never answers."""

    def __init__(
        self, backend: ModelBackend | None = None, port: int = 0, *, host: str = "127.0.0.1", mute: bool = False
    ) -> None:
        self.backend = backend or ModelBackend()
        self._mute = mute
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.LINGER, 0)
        # A backend of this user without a doorkeeper: it lets in whoever can read the user's key file.
        secure_backend(self._socket, backend_keys().backend)
        self._socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 0)
        self._socket.setsockopt(zmq.IPV6, int(host.startswith("[")))
        try:
            self._socket.bind(f"tcp://{host}:{port or '*'}")
        except zmq.ZMQError:
            self._socket.close()
            self._context.term()
            raise
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self.port = int(self.address.rsplit(":", 1)[1])
        self._tasks: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def do(self, task: Callable[[], Any]) -> None:
        """Runs ``task`` in the backend's thread, soon."""
        self._tasks.put(task)

    def close(self) -> None:
        """The socket is gone on return."""
        self._stop.set()
        self._thread.join()
        self._context.term()

    def __enter__(self) -> Router:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        with self._socket as router:
            while not self._stop.is_set():
                if router.poll(10):
                    identity, *frames = router.recv_multipart()
                    if not self._mute:
                        self.backend.receive(identity, frames)
                while not self._tasks.empty():
                    self._tasks.get()()
                while self.backend.outbox:
                    identity, answer = self.backend.outbox.popleft()
                    router.send_multipart([identity, *answer])
