"""A backend in a thread of the test's process: real sockets, a real worker, and its list of clients at hand."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen
from tests.fakes.backend_process import MISBEHAVING

from kiss3d_backend.broker.server import Ready, ServeConfig, serve
from kiss3d_backend.broker.stopping import StopRequest
from kiss3d_backend.clients.registry import ClientRegistry
from kiss3d_backend.config import DataDir
from kiss3d_protocol.address import parse_address
from kiss3d_protocol.client import Client
from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.pairing_string import PairingString
from kiss3d_protocol.redeem import redeem
from kiss3d_protocol.security import ConnectionKeys, new_key_pair
from kiss3d_protocol.transport.zeromq import ZeroMQTransport


@frozen
class Served:
    """``registry`` is the test's own connection to the list of clients."""

    address: str
    data_dir: DataDir
    registry: ClientRegistry
    public_key: str

    def pairing(self, name: str, *, seconds: float = 60.0, admin: bool = False, renew: bool = False) -> PairingString:
        """A string that waits for its client."""
        once = new_key_pair()
        self.registry.begin_pairing(once.public, name, seconds=seconds, admin=admin, renew=renew)
        return PairingString(parse_address(self.address), ConnectionKeys(self.public_key, once), name)

    def paired(self, name: str, *, admin: bool = False, renew: bool = False) -> ConnectionKeys:
        """The keys of a client that went through a pairing over the wire."""
        return redeem(self.pairing(name, admin=admin, renew=renew), "box", "test/1").keys


def client_with(address: str, keys: ConnectionKeys) -> Client:
    """A client that looks for no key files."""
    return Client(address, "test/1", transport=lambda where: ZeroMQTransport(where, keys))


@contextmanager
def served(root: Path) -> Iterator[Served]:
    """Runs until the end of the ``with``; what the backend raises is raised here."""
    data_dir = DataDir(root)
    told: queue.SimpleQueue[Ready | BaseException] = queue.SimpleQueue()
    stop = StopRequest()

    def run() -> None:
        try:
            serve(ServeConfig(parse_address("127.0.0.1:0"), data_dir, MISBEHAVING), told.put, stop)
        except BaseException as error:
            told.put(error)

    thread = threading.Thread(target=run, name="served")
    thread.start()
    try:
        ready = told.get(timeout=60)
        if isinstance(ready, BaseException):
            raise ready
        keys = backend_keys()
        registry = ClientRegistry(data_dir.clients, keys.owner.public)
        try:
            yield Served(ready.address, data_dir, registry, keys.backend.public)
        finally:
            registry.close()
    finally:
        stop.ask_at_once()
        thread.join(20)
    if not told.empty():
        raise AssertionError("the backend ended badly") from told.get()  # pyright: ignore
