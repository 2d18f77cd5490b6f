"""The local backend: started as a process of its own, watched without blocking, ended with Blender (no bpy).

The child prints one line of JSON when it is ready, or when it cannot start; it ends by itself when its standard
input closes, so it never outlives Blender, whatever becomes of Blender.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from kiss3d_protocol.errors import BackendStartFailed, Kiss3DError, error_from_wire

READY_TIMEOUT_SECONDS = 90.0
"""A first start on a slow disk reads many files; a warm one takes under a second."""

STOP_SECONDS = 2.0
LOG_LINES = 200

MODULE = "kiss3d_backend"
HOW_TO_CHOOSE = "Set the Python of the environment where kiss3d is installed in the add-on's preferences."


class LocalBackend:
    """One backend process. :meth:`start` returns at once; then look at :meth:`poll` until it says an address.

    ``python`` is the executable of the environment in which kiss3d is installed. ``arguments`` are added to the
    command line.
    """

    def __init__(
        self,
        python: str | Path,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        ready_timeout: float = READY_TIMEOUT_SECONDS,
    ) -> None:
        self.python = str(python).strip()
        self.address: str | None = None
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._arguments = list(arguments)
        self._environment = child_environment(os.environ if environment is None else environment)
        self._ready_timeout = ready_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._readers: list[threading.Thread] = []
        self._answer: dict[str, Any] | None = None
        self._deadline = 0.0

    def start(self) -> None:
        """Starts the process. Raises :class:`BackendStartFailed` when there is nothing that could be started."""
        command = [
            self._executable(),
            "-m",
            MODULE,
            "serve",
            "--bind",
            "tcp://127.0.0.1:0",
            "--json",
            "--until-stdin-closes",
        ]
        try:
            self._process = subprocess.Popen(
                command + self._arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                cwd=Path.home(),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                # A Ctrl-C in Blender's terminal is Blender's; the backend ends when its input closes.
                start_new_session=sys.platform != "win32",
            )
        except OSError as error:
            raise BackendStartFailed(
                f"'{self.python}' could not be started: {error.strerror or error}.", HOW_TO_CHOOSE
            ) from error
        assert self._process.stdout is not None and self._process.stderr is not None
        self._deadline = time.monotonic() + self._ready_timeout
        for read, pipe in ((self._read_stdout, self._process.stdout), (self._read_stderr, self._process.stderr)):
            reader = threading.Thread(target=read, args=(pipe,), name="kiss3d-backend-output", daemon=True)
            reader.start()
            self._readers.append(reader)

    def poll(self) -> str | None:
        """The address once the backend is ready, None before. Raises the reason when it failed or has ended.

        Never blocks. After a start the raised errors are a :class:`BackendStartFailed` or what the backend itself
        said; for a backend that was ready and ended, a :class:`BackendStartFailed` too.
        """
        process = self._process
        if process is None:
            raise BackendStartFailed("The local backend was not started.")
        answer = self._answer
        if answer is not None and answer.get("event") == "error":
            raise _told_error(answer)
        code = process.poll()
        if code is not None:
            if any(reader.is_alive() for reader in self._readers) and time.monotonic() < self._deadline:
                # Its last words are still in the pipes.
                self._deadline = min(self._deadline, time.monotonic() + 1.0)
                return None
            if self._answer is not None and self._answer.get("event") == "error":
                raise _told_error(self._answer)
            raise self._ended(code)
        if answer is not None:
            self.address = str(answer["address"])
            return self.address
        if time.monotonic() > self._deadline:
            self.stop()
            raise BackendStartFailed(
                f"The local backend was not ready after {self._ready_timeout:.0f} seconds.",
                f"Its last words: {self.last_words()}" if self.log else None,
            )
        return None

    def last_words(self, lines: int = 3) -> str:
        """The last lines that the backend wrote to its log, on one line."""
        return " / ".join(list(self.log)[-lines:])

    def stop(self) -> None:
        """Ends the process: by closing its input, then, if it does not end, by force. Takes at most some seconds."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended already
            process.stdin.close()
        for end in (None, process.terminate, process.kill):
            if end is not None:
                end()
            try:
                process.wait(STOP_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
        for reader in self._readers:
            reader.join(timeout=0.5)

    def _executable(self) -> str:
        if not self.python:
            raise BackendStartFailed("It is not set where the local backend is installed.", HOW_TO_CHOOSE)
        path = Path(self.python).expanduser()
        if path.is_dir():
            # People choose the environment's folder: the executable in it is meant.
            inside = path / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
            if not inside.is_file():
                raise BackendStartFailed(f"'{self.python}' is a folder without a Python environment.", HOW_TO_CHOOSE)
            return str(inside)
        if path.is_file():
            return str(path)
        found = shutil.which(self.python, path=self._environment.get("PATH"))
        if found is None:
            raise BackendStartFailed(f"There is no Python at '{self.python}'.", HOW_TO_CHOOSE)
        return found

    def _ended(self, code: int) -> BackendStartFailed:
        text = "\n".join(self.log)
        if f"No module named {MODULE}" in text or f"No module named '{MODULE}'" in text:
            return BackendStartFailed(
                f"The Python environment of '{self.python}' has no Kiss3D backend.",
                "Install kiss3d there, or set another Python in the add-on's preferences.",
            )
        when = "ended unexpectedly" if self._answer is not None else "could not start"
        words = f": {self.last_words(1)}" if self.log else ""
        return BackendStartFailed(f"The local backend {when} (exit code {code}){words}")

    def _read_stdout(self, pipe: IO[bytes]) -> None:
        for raw in pipe:
            line = raw.decode("utf-8", "replace").rstrip()
            answer = _as_answer(line) if self._answer is None else None
            if answer is not None:
                self._answer = answer
            elif line:
                self.log.append(line)
        pipe.close()

    def _read_stderr(self, pipe: IO[bytes]) -> None:
        for raw in pipe:
            line = raw.decode("utf-8", "replace").rstrip()
            if line:
                self.log.append(line)
        pipe.close()


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for the backend: without what Blender or the user's shell set for another Python.

    That it prints its log is asked for here, and not in the arguments, which an older backend would refuse.
    """
    kept = {name: value for name, value in environment.items() if not name.upper().startswith(("PYTHON", "__PYVENV"))}
    plain = {"PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    return kept | plain | {"KISS3D_PRINT_LOG": "1"}


def _as_answer(line: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    known = answer.get("event") == "error" or (
        answer.get("event") == "ready" and isinstance(answer.get("address"), str)
    )
    return answer if known else None


def _told_error(answer: dict[str, Any]) -> Kiss3DError:
    code, message, remedy = (str(answer.get(key, "")) for key in ("code", "message", "remedy"))
    return error_from_wire(code, message or "The local backend could not start.", remedy)
