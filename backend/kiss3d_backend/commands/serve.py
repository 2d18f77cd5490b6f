"""``kiss3d serve``: a backend until it is told to stop."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path

from kiss3d_backend import __version__
from kiss3d_backend.broker.server import Ready, ServeConfig, serve, stop_on_signals
from kiss3d_backend.config import DataDir, default_data_dir
from kiss3d_backend.devices.budget import read_budget
from kiss3d_protocol.address import parse_address

LOG_BYTES = 4_000_000
LOG_FILES = 3


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
) -> None:
    """Runs a backend; prints one line when it is ready."""
    config = ServeConfig(
        bind=parse_address(bind),
        data_dir=DataDir((data_dir or default_data_dir()).absolute()),
        recipes=recipes,
        private=private,
        vram_budget=None if vram_budget is None else read_budget(vram_budget),
        keep_days=keep_days,
        keep_gigabytes=keep_gigabytes,
    )
    stop = threading.Event()
    stop_on_signals(stop)
    if until_stdin_closes:
        threading.Thread(target=_stop_when_stdin_closes, args=(stop,), daemon=True).start()

    def tell_ready(ready: Ready) -> None:
        _log_to(config.data_dir.log)
        if as_json:
            line = {
                "event": "ready",
                "address": ready.address,
                "pid": os.getpid(),
                "version": __version__,
                "data_dir": str(config.data_dir.root),
            }
            print(json.dumps(line), flush=True)
        else:
            print(
                f"Kiss3D backend {__version__} is ready at {ready.address} (data in {config.data_dir.root}). "
                "Stop it with Ctrl-C.",
                flush=True,
            )

    serve(config, tell_ready, stop)


def _stop_when_stdin_closes(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    stop.set()


def _log_to(path: Path) -> None:
    file = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8", delay=True)
    file.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(file)
