"""The backend that a command uses, and whether that can do what is asked for."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from kiss3d_protocol.errors import PresetUnavailable, PresetUnknown

from .. import blender_session, preferences
from ..connection import AddressTarget, Connection
from ..waiting import wait_until_connected
from .display import Display


def connected(connect: str | None, display: Display) -> Connection:
    """The connection to a backend, when it stands. ``connect``: an address or the name of a backend that this computer
    was paired with; None for what the preferences say.

    Raises a :class:`ConnectionFailed` or :class:`BackendError`.
    """
    backend = preferences.backend(bpy.context, connect)
    if isinstance(backend, AddressTarget):
        display.note(f"Connecting to {backend.address}")
    else:
        display.note("Starting the backend")
    return wait_until_connected(blender_session.monitor(), backend)


def check_presets(connection: Connection, presets: Iterable[str]) -> None:
    """A preset that cannot run is named now, not in the middle of the night. The connection must stand.

    Raises :class:`PresetUnknown` or :class:`PresetUnavailable`.
    """
    for preset in dict.fromkeys(presets):
        offer = connection.view.offer(preset)
        if offer is None:
            raise PresetUnknown(f"The backend has no preset '{preset:.40}'.")
        if not offer.offered:
            raise PresetUnavailable(f"The backend cannot run the preset '{preset}': {offer.reason}")
