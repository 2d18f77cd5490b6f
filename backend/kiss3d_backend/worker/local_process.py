"""A worker as a child process of the broker: orders through its stdin, what it tells through its stdout."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO

from kiss3d_backend.logs import relay
from kiss3d_backend.worker.messages import ToWorker, from_worker, to_fields
from kiss3d_backend.worker.pipe import read_message, write_message
from kiss3d_backend.worker.process import Ended, Launch, Tell
from kiss3d_protocol.errors import MessageMalformed, WorkerDied

_log = logging.getLogger(__name__)


def launch_here(command: Sequence[str]) -> Launch:
    """Starts ``command`` each time."""
    return lambda tell, job: LocalProcess(command, tell, job)


class LocalProcess:
    """The :class:`kiss3d_backend.worker.process.WorkerProcess` of this machine. Raises OSError."""

    remote = False

    def __init__(self, command: Sequence[str], tell: Tell, job: Callable[[], str | None]) -> None:
        self._tell = tell
        self._job = job
        self._popen = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Threads that wait by spinning make a worker beside a busy Blender many times slower, and gain little.
            env={"OMP_WAIT_POLICY": "PASSIVE", **os.environ},
        )
        assert self._popen.stdin is not None and self._popen.stdout is not None and self._popen.stderr is not None
        self._orders: BinaryIO = self._popen.stdin  # pyright: ignore[reportAttributeAccessIssue]
        words = threading.Thread(target=self._log_words, args=(self._popen.stderr,), daemon=True)
        words.start()
        threading.Thread(target=self._listen, args=(self._popen.stdout, words), daemon=True).start()

    @property
    def title(self) -> str:
        return f"worker {self._popen.pid}"

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._popen.pid

    def say(self, message: ToWorker) -> None:
        try:
            write_message(self._orders, to_fields(message))
        except (OSError, ValueError):
            _log.debug("%s is gone; its end will be noticed", self.title)

    def kill(self) -> None:
        self._popen.kill()

    def close(self, seconds: float) -> None:
        self._close_orders()
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def _close_orders(self) -> None:
        with contextlib.suppress(OSError):
            self._orders.close()

    def _listen(self, pipe: BinaryIO, words: threading.Thread) -> None:
        with pipe:
            while True:
                try:
                    fields = read_message(pipe)
                    message = None if fields is None else from_worker(fields)
                except (OSError, ValueError, MessageMalformed) as error:
                    _log.error("%s cannot be understood: %s", self.title, error)
                    self._popen.kill()
                    message = None
                if message is None:
                    break
                self._tell(message)
        code = self._popen.wait()
        words.join(timeout=1.0)
        self._close_orders()
        _log.warning("%s ended with code %s", self.title, code)
        self._tell(Ended(_cause_of_death(code)))

    def _log_words(self, pipe: BinaryIO) -> None:
        with pipe:
            for line in pipe:
                relay(line.decode("utf-8", "replace").rstrip(), self._popen.pid, self._job())


def _cause_of_death(code: int) -> WorkerDied:
    if code == -9:
        return WorkerDied(
            "The worker process was killed in the middle of the job; the system may have run out of memory."
        )
    return WorkerDied(f"The worker process died in the middle of the job (exit code {code}).")
