"""The worker process: runs one job at a time and tells its broker through stdout.

Started by the supervisor as ``python -m kiss3d_backend.worker.main --data-dir DIR --recipes MODULE:NAME``. A thread
reads stdin, so that a cancel never waits behind a job; the end of stdin ends the process at once.
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from pathlib import Path
from typing import BinaryIO

from kiss3d_backend.config import DataDir
from kiss3d_backend.logs import log_to_broker
from kiss3d_backend.worker.job_files import folder_files
from kiss3d_backend.worker.messages import FromWorker, to_fields, to_worker
from kiss3d_backend.worker.pipe import read_message, write_message
from kiss3d_backend.worker.worker import Worker


class BrokerPipe:
    """The way back to the broker; several threads write."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()

    def say(self, message: FromWorker) -> None:
        """Sends one message; a broker that is gone ends this process through its stdin."""
        with self._lock:
            write_message(self._pipe, to_fields(message))


def _take_stdout() -> BinaryIO:
    """Keeps the pipe for messages alone: what libraries print goes to stderr, which is the log."""
    pipe = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=io.DEFAULT_BUFFER_SIZE)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    return pipe


def _read_orders(worker: Worker, stdin: BinaryIO) -> None:
    """Hands on orders until the broker is gone, then ends the process. Runs on a thread of its own."""
    while (fields := read_message(stdin)) is not None:
        worker.take(to_worker(fields))
    # Nothing is left to be told to anybody; a stage in a library call would not notice.
    os._exit(0)


def main() -> None:
    """The process's entry point."""
    # Ctrl-C in the broker's terminal, and a stop of the whole group, reach this process too; its life is the broker's
    # business, and ends with its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parser = argparse.ArgumentParser(prog="kiss3d-worker")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--recipes", required=True)
    parser.add_argument("--vram-budget", type=int, help="bytes")
    options = parser.parse_args()
    log = log_to_broker(sys.stderr)
    pipe = BrokerPipe(_take_stdout())
    data_dir = DataDir(options.data_dir)
    worker = Worker(pipe.say, folder_files(data_dir), data_dir.root, log)
    # Before all that takes seconds: a broker that dies meanwhile leaves nothing behind.
    threading.Thread(target=_read_orders, args=(worker, sys.stdin.buffer), name="orders", daemon=True).start()
    worker.live(options.recipes, options.vram_budget)


if __name__ == "__main__":
    main()
