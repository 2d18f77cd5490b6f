"""Addresses of backends: ``tcp://HOST:PORT``."""

from __future__ import annotations

import ipaddress
import re

from attrs import frozen

from kiss3d_protocol.errors import AddressInvalid

_ADDRESS = re.compile(r"(?:tcp://)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):(\d{1,5})/?")


@frozen
class Address:
    """Where a backend listens. An IPv6 host keeps its brackets, as ZeroMQ wants it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach it. Names other than ``localhost`` count as not."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """``tcp://HOST:PORT`` or ``HOST:PORT``. Raises :class:`AddressInvalid`."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match[2]) > 65535:
        raise AddressInvalid(f"'{text:.100}' is not an address of a backend.")
    return Address(match[1], int(match[2]))
