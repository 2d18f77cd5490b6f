"""The set-up of this session: at most one at a time, and what is installed (no bpy)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from kiss3d_protocol.installation import RECORD, Installation, environment_python, read_installation

from .setup_process import BackendSetup
from .setup_view import SetupView


class LocalSetup:
    """Runs set-ups one after the other; ``view`` is that of the last one."""

    def __init__(self) -> None:
        self._setup: BackendSetup | None = None
        self._on_done: Callable[[], None] = lambda: None

    @property
    def view(self) -> SetupView:
        """How the last one stands."""
        return self._setup.view if self._setup is not None else SetupView()

    def run(self, setup: BackendSetup, on_done: Callable[[], None] = lambda: None) -> None:
        """Starts one; :meth:`poll` calls ``on_done`` when a backend is set up. Not to be called while another runs.

        Raises what :meth:`BackendSetup.start` raises.
        """
        assert not self.view.running
        self._setup, self._on_done = setup, on_done
        try:
            setup.start()
        except BaseException:
            self._setup = None
            raise

    def poll(self) -> bool:
        """Takes in what it has said; True after a change. Never blocks."""
        if self._setup is None or not self._setup.poll():
            return False
        if self.view.done and not self.view.running:
            self._on_done()
        return True

    def cancel(self) -> None:
        """Asks for the end of the one that runs."""
        if self._setup is not None:
            self._setup.cancel()

    def close(self) -> None:
        """Ends the one that runs, and waits for that."""
        if self._setup is not None and self.view.running:
            self._setup.close()


def installed(folder: Path) -> Installation | None:
    """What the set-up has made in ``folder``. Panels ask often, so it is read again only when it has changed."""
    try:
        written = (folder / RECORD).stat().st_mtime_ns
        return _read(folder, written, environment_python(folder).exists())
    except OSError:
        return None


@lru_cache(maxsize=8)
def _read(folder: Path, written: int, has_python: bool) -> Installation | None:
    return read_installation(folder)
