"""The set-up of the local backend, as a process of its own that Blender never waits for (no bpy).

It runs under the Python of Blender, or another one of this machine, and installs nothing there. It ends by itself when
its standard input closes, so it does not outlive Blender; the next one goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from kiss3d_protocol.errors import SetupPythonMissing, SetupStepFailed

from .launcher import child_environment
from .setup_view import asked_to_stop, ended, reduce_setup, started

SETUP = Path(__file__).with_name("setup") / "kiss3d_setup.pyz"
"""What sets a backend up; the builder of the extension puts it there."""

ENDING_SECONDS = 15.0


class BackendSetup:
    """One run of the set-up. :meth:`start` returns at once; then :meth:`poll` until ``view`` does not run any more."""

    def __init__(
        self, arguments: Sequence[str], *, python: str | None = None, setup: Path | None = None, removing: bool = False
    ) -> None:
        self.view = started(removing=removing)
        self._command = [python or python_for_scripts(), str(setup or SETUP), *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self._events: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()

    def start(self) -> None:
        """Starts the process. Raises :class:`SetupPythonMissing` or :class:`SetupStepFailed` when that cannot be."""
        if not Path(self._command[1]).is_file():
            raise SetupStepFailed(
                "This copy of the extension has no set-up in it.", "Install the extension from its zip file."
            )
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=child_environment(os.environ),
                cwd=Path.home(),
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                # A Ctrl-C in Blender's terminal is Blender's; the set-up ends when its input closes.
                start_new_session=sys.platform != "win32",
            )
        except OSError as error:
            raise SetupPythonMissing(
                f"'{self._command[0]}' could not be started: {error.strerror or error}."
            ) from error
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), name="kiss3d-set-up", daemon=True).start()

    def poll(self) -> bool:
        """Takes in what it has said; True when ``view`` has changed. Never blocks."""
        before = self.view
        while self.view.running:
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                break
            if event is None:
                assert self._process is not None
                self._close_input()
                self.view = ended(self.view, self._process.wait())
            else:
                self.view = reduce_setup(self.view, event)
        return self.view is not before

    def cancel(self) -> None:
        """Asks for its end; what is done is kept."""
        self.view = asked_to_stop(self.view)
        self._close_input()

    def close(self) -> None:
        """Ends it and waits for that, some seconds at most."""
        self.cancel()
        if self._process is not None:
            try:
                self._process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def _close_input(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it has ended already
                self._process.stdin.close()

    def _read(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    self._events.put(event)
        pipe.close()
        self._events.put(None)


def python_for_scripts() -> str:
    """A Python that can run the set-up: Blender's own executable, or one on PATH.

    Raises :class:`SetupPythonMissing`.
    """
    own = Path(sys.executable) if sys.executable else None
    inside = Path(sys.prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (own, inside):
        if candidate is not None and candidate.name.lower().startswith("python") and candidate.is_file():
            return str(candidate)
    found = shutil.which("python3") or shutil.which("python")
    if found is None:
        raise SetupPythonMissing("No Python was found that could run the set-up.")
    return found


def install_arguments(folder: Path) -> list[str]:
    """What sets a backend up in ``folder``. Blender's Python is the last choice: it would go with that Blender."""
    return ["install", "--json", "--until-stdin-closes", "--own-python-last", "--into", str(folder)]


def remove_arguments(folder: Path) -> list[str]:
    """What takes the environment in ``folder`` away again."""
    return ["remove", "--json", "--into", str(folder)]
