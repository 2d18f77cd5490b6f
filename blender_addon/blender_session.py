"""The add-on's state while Blender runs: the job monitor, the timer that drives it, a pairing, the panel's notice."""

from __future__ import annotations

import time
import tomllib
import traceback
from collections.abc import Callable
from pathlib import Path

import bpy

from kiss3d_protocol.errors import Kiss3DError
from kiss3d_protocol.pairing_string import PairingString
from kiss3d_protocol.servers import Server

from . import job_list
from .connection import BackendTarget, Connection
from .importer import place
from .importer.log_text import find_log, write_log
from .job_monitor import BUSY_INTERVAL, JobMonitor
from .local_setup import LocalSetup
from .pairing import PairingAttempt
from .ui import thumbnails

_MANIFEST = Path(__file__).with_name("blender_manifest.toml")
VERSION: str = tomllib.loads(_MANIFEST.read_text(encoding="utf-8"))["version"]

_monitor: JobMonitor | None = None
_local_setup = LocalSetup()
_pairing: tuple[PairingAttempt, Callable[[Server], None]] | None = None
_drawn_at = 0.0
notice: Kiss3DError | None = None
"""The error of the last click, shown in the panel until it is dismissed or the next click works."""


def monitor() -> JobMonitor:
    """The monitor of this session. Raises RuntimeError when the add-on is not enabled."""
    if _monitor is None:
        raise RuntimeError("The Kiss3D extension is not enabled.")
    return _monitor


def local_setup() -> LocalSetup:
    """The set-up of a local backend."""
    return _local_setup


def start() -> None:
    """Makes the monitor. Nothing is started or connected before it is needed."""
    global _monitor, notice
    _monitor = JobMonitor(_connection, place, addon_version=VERSION)
    notice = None


def stop() -> None:
    """Ends all connections and the local backend, and takes the timer away."""
    global _monitor, _pairing
    _pairing = None
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _monitor is not None:
        ending, _monitor = _monitor, None
        ending.shut_down()
    _local_setup.close()


def wake() -> None:
    """Makes sure that the timer runs while there is something to watch, and shows what has changed."""
    # In background mode timers never fire: there the monitor is driven by whoever waits.
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=0.01, persistent=True)
    refresh()
    redraw()


def show(error: Kiss3DError | None) -> None:
    """Puts an error into the panel, or takes it away."""
    global notice
    notice = error
    redraw()


def redraw() -> None:
    """Draws the sidebars of all 3D Views again, and the preferences where they are open."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def is_pairing() -> bool:
    """Whether an answer to a pairing is still to come."""
    return _pairing is not None


def pair(pairing: PairingString, on_paired: Callable[[Server], None]) -> None:
    """Pairs with a backend; ``on_paired`` is called when that has worked, else the panel says why it has not."""
    global _pairing
    _pairing = PairingAttempt(pairing, f"kiss3d-blender/{VERSION}"), on_paired
    show(None)
    wake()


def refresh() -> None:
    """Brings what the panels show up to date with the monitor: rows, icons, the backend's output."""
    job_list.sync(bpy.context.window_manager, monitor())
    thumbnails.sync(monitor())
    if find_log() is not None:
        log = next((one.log for one in monitor().connections.values() if one.log), ())
        if log:
            write_log(log)


def _tick() -> float | None:
    if _monitor is None:
        return None
    began = time.perf_counter()
    try:
        changed = _take_pairing()
        if _local_setup.poll():
            changed = True
        if _monitor.poll():
            changed = True
        if changed:
            refresh()
        if changed or _second_has_passed():
            redraw()
    except Exception:
        # A timer that raises is taken away by Blender, and every job would stand still in silence.
        traceback.print_exc()
    _monitor.times.add(time.perf_counter() - began, _monitor.imported)
    return BUSY_INTERVAL if is_pairing() or _local_setup.view.running else _monitor.interval


def _second_has_passed() -> bool:
    """Whether times that run on have to be drawn again."""
    global _drawn_at
    now = time.monotonic()
    if now - _drawn_at < 1.0:
        return False
    _drawn_at = now
    return True


def _take_pairing() -> bool:
    global _pairing
    if _pairing is None:
        return False
    attempt, on_paired = _pairing
    outcome = attempt.poll()
    if outcome is None:
        return False
    _pairing = None
    if isinstance(outcome, Kiss3DError):
        show(outcome)
    else:
        on_paired(outcome)
    return True


def _connection(backend: BackendTarget) -> Connection:
    return Connection(
        backend,
        f"kiss3d-blender/{VERSION} (Blender {bpy.app.version_string})",
        network_allowed=lambda: bpy.app.online_access,
    )
