"""Which presets this backend can run, and why it cannot run the others."""

from __future__ import annotations

from kiss3d_protocol.errors import PresetUnavailable, PresetUnknown
from kiss3d_protocol.messages import PresetOffer
from kiss3d_protocol.params import PRESETS

BUILT_PRESETS = frozenset({"draft"})
"""The presets whose recipes exist in this version (a test compares it with the recipes themselves)."""


def preset_offers() -> tuple[PresetOffer, ...]:
    """One offer for each preset, lightest first."""
    return tuple(
        PresetOffer(preset.name, preset.title, True)
        if preset.name in BUILT_PRESETS
        else PresetOffer(preset.name, preset.title, False, "This version of the backend does not have it yet.")
        for preset in PRESETS
    )


def check_preset(name: str) -> None:
    """Raises :class:`PresetUnknown` or :class:`PresetUnavailable`."""
    for offer in preset_offers():
        if offer.name == name:
            if not offer.offered:
                raise PresetUnavailable(f"The preset '{name}' cannot run here: {offer.reason}")
            return
    names = ", ".join(preset.name for preset in PRESETS)
    raise PresetUnknown(f"There is no preset '{name:.64}'.", f"Choose one of: {names}.")
