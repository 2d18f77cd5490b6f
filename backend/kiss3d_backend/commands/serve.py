"""``kiss3d serve``: a backend until it is told to stop."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

from kiss3d_backend import __version__
from kiss3d_backend.broker.server import Ready, ServeConfig, serve
from kiss3d_backend.broker.stopping import StopRequest, stop_on_signals
from kiss3d_backend.config import DataDir, WorkerLimits, default_data_dir
from kiss3d_backend.devices.budget import read_budget
from kiss3d_backend.executor.fleet import Fleet
from kiss3d_backend.logs import log_to_file, log_to_terminal
from kiss3d_protocol.address import parse_address

FAR_START_SECONDS = 600.0
"""On another machine a worker may have to wait until somebody else's is off the graphics card."""


def run_serve(
    *,
    bind: str,
    data_dir: Path | None,
    recipes: str,
    as_json: bool,
    until_stdin_closes: bool,
    private: bool,
    vram_budget: str | None = None,
    keep_days: float | None = None,
    keep_gigabytes: float | None = None,
    grace: float = 0.0,
    metrics: str | None = None,
    print_log: bool = False,
    ray_address: str | None = None,
) -> None:
    """Runs a backend; prints one line when it is ready. ``metrics``: a port of this computer, or HOST:PORT.

    ``ray_address``: of the Ray cluster whose machines run the jobs; None for a worker beside the broker.

    ``print_log``: the log is told on standard error too, as it is without ``as_json``.
    """
    config = ServeConfig(
        bind=parse_address(bind),
        data_dir=DataDir((data_dir or default_data_dir()).absolute()),
        recipes=recipes,
        private=private,
        vram_budget=None if vram_budget is None else read_budget(vram_budget),
        keep_days=keep_days,
        keep_gigabytes=keep_gigabytes,
        grace=0.0 if private else grace,
        metrics=None if metrics is None else parse_address(f"127.0.0.1:{metrics}" if metrics.isdigit() else metrics),
        worker=WorkerLimits() if ray_address is None else WorkerLimits(start=FAR_START_SECONDS),
    )
    fleet = None if ray_address is None else _ray_fleet(ray_address, config)
    stop = StopRequest()
    # After Ray, which takes SIGTERM for itself.
    stop_on_signals(stop)
    if until_stdin_closes:
        threading.Thread(target=_stop_when_stdin_closes, args=(stop,), daemon=True).start()

    def tell_ready(ready: Ready) -> None:
        log_to_file(config.data_dir.log)
        if as_json:
            line = {
                "event": "ready",
                "address": ready.address,
                "pid": os.getpid(),
                "version": __version__,
                "data_dir": str(config.data_dir.root),
                "metrics": ready.metrics,
            }
            print(json.dumps(line), flush=True)
        else:
            print(
                f"Kiss3D backend {__version__} is ready at {ready.address} (data in {config.data_dir.root}). "
                "Stop it with Ctrl-C.",
                flush=True,
            )
            if ready.metrics is not None:
                print(f"Metrics are at {ready.metrics}.", flush=True)
        if print_log or not as_json:
            log_to_terminal()

    serve(config, tell_ready, stop, fleet)


def _ray_fleet(address: str, config: ServeConfig) -> Fleet:
    from kiss3d_backend.executor.over_ray.fleet import RayFleet

    return RayFleet(address, config.data_dir.root, config.recipes, config.vram_budget)


def _stop_when_stdin_closes(stop: StopRequest) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    # Who started this backend has gone.
    stop.ask_at_once()
