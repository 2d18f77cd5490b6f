"""Bytes in words."""

from __future__ import annotations

_UNITS = ("kB", "MB", "GB", "TB")


def amount_text(count: float) -> str:
    """``count`` bytes as people say them, in powers of a thousand as hubs and disks count: 17.2 GB."""
    if count < 1000:
        return f"{count:.0f} bytes"
    # What would be shown as 1000.0 of a unit is shown as 1.0 of the next one.
    power = next((power for power in range(1, len(_UNITS)) if count < 999.95 * 1000**power), len(_UNITS))
    return f"{count / 1000**power:.1f} {_UNITS[power - 1]}"
