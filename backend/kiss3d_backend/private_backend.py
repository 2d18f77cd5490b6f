"""A backend of one's own: started for one command, ended with it."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from kiss3d_protocol.errors import BackendStartFailed, ConnectionLost, error_from_wire

START_SECONDS = 60.0
STOP_SECONDS = 10.0
LAST_WORDS = 5


class PrivateBackend:
    """Starts ``kiss3d serve`` on a free loopback port; the process ends when this one does, however it ends.

    Raises :class:`BackendStartFailed`, or the error that the backend itself gives.
    """

    def __init__(
        self, data_dir: Path | None = None, recipes: str | None = None, vram_budget: str | None = None
    ) -> None:
        command = [sys.executable, "-m", "kiss3d_backend", "serve", "--bind", "tcp://127.0.0.1:0"]
        command += ["--json", "--until-stdin-closes", "--private"]
        command += ["--data-dir", str(data_dir)] if data_dir else []
        command += ["--recipes", recipes] if recipes else []
        command += ["--vram-budget", vram_budget] if vram_budget else []
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            **_out_of_reach_of_ctrl_c(),
        )
        self._last_words: deque[str] = deque(maxlen=LAST_WORDS)
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._read_lines, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_words, args=(self._process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def address(self) -> str:
        """Waits until the backend is ready; returns its address."""
        try:
            line = self._lines.get(timeout=START_SECONDS)
            told: dict[str, Any] = json.loads(line)
        except (queue.Empty, ValueError) as error:
            self._threads[1].join(timeout=1.0)
            words = " ".join(self._last_words) or "it said nothing"
            raise BackendStartFailed(f"The backend did not start: {words}") from error
        if told.get("event") == "ready":
            return str(told["address"])
        raise error_from_wire(str(told.get("code")), str(told.get("message")), str(told.get("remedy")))

    def check(self) -> None:
        """Raises :class:`ConnectionLost` when the process has ended."""
        if self._process.poll() is not None:
            words = " ".join(self._last_words)
            raise ConnectionLost(f"The private backend ended unexpectedly. {words}".strip(), "Try again.")

    def close(self) -> None:
        """Asks the process to end, and ends it if it does not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(timeout=1.0)

    def __enter__(self) -> PrivateBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_lines(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                self._lines.put(line)
        self._lines.put("")

    def _read_words(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                self._last_words.append(line.strip())


def _out_of_reach_of_ctrl_c() -> dict[str, Any]:
    """Ctrl-C goes to every process of a terminal; the backend must live long enough to be told of the cancel."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
