"""Joining a Ray cluster."""

from __future__ import annotations

import contextlib
import importlib.util
import ipaddress
import os
import socket
import tempfile
from pathlib import Path

from kiss3d_backend.executor.over_ray.api import ray_api
from kiss3d_protocol.errors import ClusterUnreachable, EnginePartMissing

AUTO = "auto"
CONNECT_SECONDS = 5.0


def connect(address: str) -> None:
    """Makes this process a driver of the cluster at HOST:PORT, or of the one that this machine is part of (``auto``).

    Raises :class:`EnginePartMissing` without Ray, and :class:`ClusterUnreachable`.
    """
    if importlib.util.find_spec("ray") is None:
        raise EnginePartMissing(
            "Workers on other machines need the package ray.",
            "Install it into the backend's environment: pip install 'kiss3d[ray]'.",
        )
    # Read when Ray is imported: it reports nothing to its makers, and never starts a cluster of its own.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_ENABLE_AUTO_CONNECT"] = "0"
    # It would ask twenty times, for a quarter of an hour, something that answers and is no cluster.
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "1")
    if address == AUTO:
        address = _recorded()
    if address != AUTO:
        _check_answers(address)
    try:
        ray_api().init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterUnreachable(f"No Ray cluster can be joined at '{address}': {said}") from error


def _recorded() -> str:
    """The address that this machine's Ray has noted for whoever asks for none, as far as there is one."""
    noted = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray", "ray_current_cluster")
    address = os.environ.get("RAY_ADDRESS", "")
    with contextlib.suppress(OSError):
        address = address or noted.read_text(encoding="utf-8").strip()
    return address or AUTO


def _check_answers(address: str) -> None:
    """Ray itself would try for a minute."""
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise ClusterUnreachable(
            f"'{address}' is no address of a Ray cluster.",
            "Give HOST:PORT as 'ray start --head' prints it, or 'auto' on a machine of the cluster.",
        )
    if _is_loopback(host):
        # Else Ray puts the machine's address in the network in its place, where a cluster of one machine is not.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterUnreachable(f"Nothing answers at '{address}' ({error}).") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
