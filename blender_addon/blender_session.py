"""The add-on's state while Blender runs: the job monitor, the one timer that drives it, the notice in the panel."""

from __future__ import annotations

import tomllib
import traceback
from pathlib import Path

import bpy

from kiss3d_protocol.errors import Kiss3DError

from .connection import BackendTarget, Connection
from .importer import place
from .job_monitor import JobMonitor

_MANIFEST = Path(__file__).with_name("blender_manifest.toml")
VERSION: str = tomllib.loads(_MANIFEST.read_text(encoding="utf-8"))["version"]

_monitor: JobMonitor | None = None
notice: Kiss3DError | None = None
"""The error of the last click, shown in the panel until it is dismissed or the next click works."""


def monitor() -> JobMonitor:
    """The monitor of this session. Raises RuntimeError when the add-on is not enabled."""
    if _monitor is None:
        raise RuntimeError("The Kiss3D extension is not enabled.")
    return _monitor


def start() -> None:
    """Makes the monitor. Nothing is started or connected before it is needed."""
    global _monitor, notice
    _monitor = JobMonitor(_connection, place, addon_version=VERSION)
    notice = None


def stop() -> None:
    """Ends all connections and the local backend, and takes the timer away."""
    global _monitor
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _monitor is not None:
        ending, _monitor = _monitor, None
        ending.shut_down()


def wake() -> None:
    """Makes sure that the timer runs while there is something to watch, and shows what has changed."""
    # In background mode timers never fire: there the monitor is driven by whoever waits.
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=0.01, persistent=True)
    redraw()


def show(error: Kiss3DError | None) -> None:
    """Puts an error into the panel, or takes it away."""
    global notice
    notice = error
    redraw()


def redraw() -> None:
    """Draws the sidebars of all 3D Views again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def _tick() -> float | None:
    if _monitor is None:
        return None
    try:
        if _monitor.poll():
            redraw()
    except Exception:
        # A timer that raises is taken away by Blender, and every job would stand still in silence.
        traceback.print_exc()
    return _monitor.interval


def _connection(backend: BackendTarget) -> Connection:
    return Connection(
        backend,
        f"kiss3d-blender/{VERSION} (Blender {bpy.app.version_string})",
        network_allowed=lambda: bpy.app.online_access,
    )
