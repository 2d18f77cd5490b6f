"""A machine without a network: what tries to resolve or to reach a host fails at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest.mock import patch


@contextmanager
def no_network() -> Iterator[None]:
    """Raises AssertionError where a name is looked up or a connection opened; files and pipes work as always."""

    def refuse(*arguments: Any, **_keywords: Any) -> NoReturn:
        raise AssertionError(f"something asked the network: {arguments[-1]!r}")

    with (
        patch.object(socket, "getaddrinfo", refuse),
        patch.object(socket, "gethostbyname", refuse),
        patch.object(socket.socket, "connect", refuse),
        patch.object(socket.socket, "connect_ex", refuse),
    ):
        yield
