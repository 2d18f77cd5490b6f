"""``kiss3d status``: how a running backend is; a health check for programs that watch it."""

from __future__ import annotations

import json
import time
from datetime import timedelta

from cattrs import unstructure
from rich.console import Console
from rich.table import Table

from kiss3d_backend import __version__
from kiss3d_backend.commands.terminal import plain
from kiss3d_protocol.client import Client
from kiss3d_protocol.errors import ConnectionLost, error_from_wire
from kiss3d_protocol.messages import Refused, Status, WorkerStatus
from kiss3d_protocol.session import Received

PROBLEMS = 3
"""The exit code for a backend that answers but has problems; 0 is healthy, errors have their own."""


def run_status(*, connect: str, timeout: float, as_json: bool) -> int:
    """Prints it and returns the exit code. Raises a :class:`ConnectionFailed` for a backend that does not answer."""
    status = status_of(connect, timeout)
    if as_json:
        print(json.dumps({"healthy": not status.problems, **unstructure(status)}))
    else:
        _print(status)
    return PROBLEMS if status.problems else 0


def status_of(address: str, timeout: float) -> Status:
    """Asks a running backend; ``timeout`` in seconds for all of it."""
    deadline = time.monotonic() + timeout
    with Client(address, f"cli/{__version__}") as client:
        client.connected(timeout)
        client.get_status()
        while (left := deadline - time.monotonic()) > 0:
            news = client.wait(left)
            if isinstance(news, Received) and isinstance(news.message, Status):
                return news.message
            if isinstance(news, Received) and isinstance(news.message, Refused):
                refused = news.message
                raise error_from_wire(refused.code, refused.message, refused.remedy)
    raise ConnectionLost(f"The backend did not answer within {timeout:g} seconds.")


def _print(status: Status) -> None:
    console = Console()
    device, uptime = status.device, timedelta(seconds=round(status.uptime_seconds))
    worker = f"{status.worker}, stopping" if status.stopping else status.worker
    disk = "" if status.disk_used is None else f"{_gb(status.disk_used)} used, "
    lines = {
        "Version": f"{status.server}, up {uptime}",
        "Worker": worker,
        "Jobs": f"{status.running} running, {status.waiting} waiting",
        "Clients": f"{status.clients} connected",
        "Device": f"{device.name}, RAM {_gb(device.ram_free)} of {_gb(device.ram_total)} free",
        "Memory": f"{_gb(status.memory)} by the backend",
        "Disk": f"{disk}{_gb(status.disk_free)} free",
    }
    if device.vram_total is not None and device.vram_free is not None:
        lines["Device"] += f", VRAM {_gb(device.vram_free)} of {_gb(device.vram_total)} free"
    table = Table(box=None, show_header=False)
    for name, value in lines.items():
        table.add_row(name, plain(value))
    console.print(table)
    if status.workers:
        workers = Table("Worker", "State", "Job", "Device", "VRAM free", "Memory", "Networks", box=None)
        for worker in status.workers:
            workers.add_row(*map(plain, _worker_row(worker)))
        console.print(workers)
    if status.jobs:
        jobs = Table("Job", "Name", "Preset", "State", "Stage", "Done", box=None)
        for job in status.jobs:
            jobs.add_row(
                job.job[:8], plain(job.name), plain(job.preset), job.state, plain(job.stage), f"{job.fraction:.0%}"
            )
        console.print(jobs)
    if status.connections:
        connections = Table("Client", "Program", "Connected", box=None)
        for each in status.connections:
            connections.add_row(plain(each.client), plain(each.program), str(timedelta(seconds=round(each.seconds))))
        console.print(connections)
    for problem in status.problems:
        console.print(plain(f"Problem ({problem.code}): {problem.message} {problem.remedy}"))


def _worker_row(worker: WorkerStatus) -> tuple[str, ...]:
    device = worker.device
    return (
        worker.name,
        worker.condition,
        worker.job[:8] if worker.job else "",
        "" if device is None else device.name,
        "" if device is None or device.vram_free is None else _gb(device.vram_free),
        _gb(worker.memory),
        ", ".join(worker.networks),
    )


def _gb(amount: int) -> str:
    return f"{amount / 1e9:.1f} GB"
