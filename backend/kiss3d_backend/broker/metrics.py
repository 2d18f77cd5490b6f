"""Metrics for Prometheus, by its own client library: an extra (``pip install 'kiss3d[metrics]'``).

Numbers only: neither clients nor jobs are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from kiss3d_protocol.address import Address
from kiss3d_protocol.errors import AddressInUse, EnginePartMissing
from kiss3d_protocol.messages import Status

if TYPE_CHECKING:
    from prometheus_client.core import Metric

EVERY_SECONDS = 5.0


class Metrics:
    """Serves ``http://ADDRESS/metrics`` on threads of its own; :meth:`show` gives it what it serves.

    Raises :class:`EnginePartMissing` without the library, and :class:`AddressInUse`.
    """

    def __init__(self, bind: Address) -> None:
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ImportError as error:
            raise EnginePartMissing(
                "Metrics need the package prometheus-client.",
                "Install it into the backend's environment: pip install 'kiss3d[metrics]'.",
            ) from error
        self._shown: tuple[Status, Mapping[str, int]] | None = None
        registry = CollectorRegistry()
        registry.register(self)  # pyright: ignore[reportArgumentType] (anything with collect())
        try:
            self._server, self._thread = start_http_server(bind.port, bind.host.strip("[]"), registry)
        except OSError as error:
            raise AddressInUse(f"Metrics cannot be served at {bind.host}:{bind.port} ({error.strerror}).") from error
        self.port = int(self._server.server_port)

    def show(self, status: Status, jobs: Mapping[str, int]) -> None:
        """From now on these figures are served. ``jobs``: how many of this backend there are in each state."""
        self._shown = status, jobs

    def collect(self) -> Iterator[Metric]:
        """What the library asks for at each visit."""
        from prometheus_client.core import GaugeMetricFamily

        if self._shown is None:
            return
        status, jobs = self._shown
        device = status.device
        numbers: dict[str, tuple[str, float | None]] = {
            "kiss3d_uptime_seconds": ("Since the start of the backend.", status.uptime_seconds),
            "kiss3d_healthy": ("1 when it has no problems.", float(not status.problems)),
            "kiss3d_stopping": ("1 when it has been told to stop.", float(status.stopping)),
            "kiss3d_worker_up": ("1 when a worker takes or does jobs.", float(status.worker in ("idle", "busy"))),
            "kiss3d_connections": ("Connections of clients.", float(status.clients)),
            "kiss3d_memory_bytes": ("Resident memory of the broker and the workers.", float(status.memory)),
            "kiss3d_ram_free_bytes": ("Of the machine.", float(device.ram_free)),
            "kiss3d_vram_total_bytes": ("Of the graphics card.", device.vram_total),
            "kiss3d_vram_free_bytes": ("Of the graphics card.", device.vram_free),
            "kiss3d_disk_used_bytes": ("By the data directory.", status.disk_used),
            "kiss3d_disk_free_bytes": ("Where the data directory is.", float(status.disk_free)),
        }
        for name, (words, number) in numbers.items():
            if number is not None:
                yield GaugeMetricFamily(name, words, value=number)
        workers = GaugeMetricFamily("kiss3d_workers", "Places where jobs run, by what they do.", labels=["state"])
        for state in ("stopped", "starting", "idle", "busy"):
            workers.add_metric([state], float(sum(worker.condition == state for worker in status.workers)))
        yield workers
        free = GaugeMetricFamily("kiss3d_worker_vram_free_bytes", "Of the worker's graphics card.", labels=["worker"])
        for worker in status.workers:
            if worker.device is not None and worker.device.vram_free is not None:
                free.add_metric([worker.name], float(worker.device.vram_free))
        yield free
        by_state = GaugeMetricFamily("kiss3d_jobs", "Jobs that are kept, by their state.", labels=["state"])
        for state in ("queued", "running", "finished", "failed", "cancelled"):
            by_state.add_metric([state], float(jobs.get(state, 0)))
        yield by_state

    def close(self) -> None:
        """Ends the service."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
