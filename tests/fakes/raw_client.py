"""A DEALER socket that a test drives by itself, with keys or without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import zmq

from kiss3d_protocol.key_files import backend_keys
from kiss3d_protocol.security import ConnectionKeys, secure_client


@contextmanager
def raw_dealer(
    address: str, keys: ConnectionKeys | None = None, *, patience: float = 5.0, most_unread: int | None = None
) -> Iterator[zmq.Socket[bytes]]:
    """Connects with ``keys``, or with those of the user who runs the tests; ``patience`` of its receives in seconds."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.RCVTIMEO, int(1000 * patience))
        if most_unread is not None:
            dealer.setsockopt(zmq.RCVHWM, most_unread)
        secure_client(dealer, keys or backend_keys().of_owner)
        dealer.connect(address)
        yield dealer
