"""Addresses of backends: ``tcp://HOST:PORT``."""

from __future__ import annotations

import ipaddress
import re

from attrs import frozen

from kiss3d_protocol.errors import AddressInvalid

_ADDRESS = re.compile(r"(?:tcp://)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):([0-9]{1,5})/?")
# One part of a host name (RFC 1123, with the underscore that private networks use); longer ones no resolver takes.
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


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
    """``tcp://HOST:PORT`` or ``HOST:PORT``; upper case makes no difference. Raises :class:`AddressInvalid`."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match[2]) > 65535 or not _is_host(match[1]):
        raise AddressInvalid(f"'{text:.100}' is not an address of a backend.")
    return Address(match[1].lower(), int(match[2]))


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in host.removesuffix(".").split("."))
    try:
        ipaddress.IPv6Address(host[1:-1])
    except ValueError:
        return False
    return True
