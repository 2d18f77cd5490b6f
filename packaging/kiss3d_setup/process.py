"""One program, run to its end with its output line by line, and ended with all that it has started when asked to."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence

END_SECONDS = 5.0


class Interrupted(Exception):
    """The set-up was asked to end."""


class Stop:
    """A request to end, from any thread; it ends the program that runs at that moment."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self.asked = False

    def ask(self) -> None:
        """Ends the program that runs, and lets no other begin."""
        with self._lock:
            self.asked = True
            process = self._process
        if process is not None:
            end_tree(process)

    def run(
        self, argv: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None], keep_open: int | None
    ) -> int:
        """Runs a program and returns its exit code. Raises :class:`Interrupted`, and OSError when it cannot start.

        ``keep_open``: a file descriptor that it holds as long as it lives, on systems where that can be done.
        """
        with self._lock:
            if self.asked:
                raise Interrupted
            self._process = process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                encoding="utf-8",
                errors="replace",
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                # A group of its own, so that it ends with all that it has started, and not by a Ctrl-C before us.
                start_new_session=sys.platform != "win32",
                pass_fds=(keep_open,) if keep_open is not None and sys.platform != "win32" else (),
            )
        try:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    on_line(line.rstrip())
            code = process.wait()
        finally:
            with self._lock:
                self._process = None
            if process.poll() is None:
                end_tree(process)
        if self.asked:
            raise Interrupted
        return code


def end_tree(process: subprocess.Popen[str]) -> None:
    """Ends a program and what it has started: politely, then by force."""
    if sys.platform == "win32":
        kill = ["taskkill", "/PID", str(process.pid), "/T", "/F"]
        subprocess.run(kill, capture_output=True, check=False, creationflags=subprocess.CREATE_NO_WINDOW)
        return
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, how)
        try:
            process.wait(END_SECONDS)
            return
        except subprocess.TimeoutExpired:
            continue


ELSEWHERE = ("PYTHON", "__PYVENV", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_SYSTEM_PYTHON")
"""Variables, by how they begin, that would let programs use another Python or install to another place."""


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for programs of the set-up: all that say where packages come from, none that say where they go."""
    kept = {name: value for name, value in environment.items() if not name.upper().startswith(ELSEWHERE)}
    return kept | {"PIP_USER": "0", "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
