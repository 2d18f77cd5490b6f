"""Which backend a command uses, and whether that can do what is asked for."""

from __future__ import annotations

from collections.abc import Iterable

import bpy

from kiss3d_protocol.errors import PresetUnavailable, PresetUnknown

from .. import preferences
from ..connection import AddressTarget, BackendTarget, Connection


def chosen_backend(connect: str | None) -> BackendTarget:
    """``connect``: an address or the name of a backend that this computer was paired with; None for what the
    preferences say."""
    return preferences.get(bpy.context).backend_target() if connect is None else AddressTarget(connect)


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
