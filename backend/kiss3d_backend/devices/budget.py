"""How much of a graphics card a backend may take. No torch."""

from __future__ import annotations

import re

from attrs import frozen

from kiss3d_backend.devices.machine import Machine
from kiss3d_protocol.errors import ParamsInvalid

GB, GIB, MIB = 10**9, 2**30, 2**20

CONTEXT = 500 * MIB
"""What the driver takes for a process that uses CUDA, with its libraries' code: about 300 to 500 MiB."""

VIEWPORT = 1 * GIB
"""Left to whoever draws the desktop, Blender's viewport among them, on a card that does so, beside what they have."""

OTHERS = 256 * MIB
"""Left on a card that draws nothing."""

LEAST = 2 * GB

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(GB|GIB|MB|MIB|G|M)?", re.IGNORECASE)
_UNITS = {"GB": GB, "G": GB, "GIB": GIB, "MB": 10**6, "M": 10**6, "MIB": MIB}


@frozen
class Budget:
    """``card``: bytes of the card that the backend's process may take in all. ``reason``: why so many, in words."""

    card: int
    reason: str

    @property
    def torch(self) -> int:
        """What is left of it for torch's allocator."""
        return max(self.card - CONTEXT, 0)


def read_budget(text: str) -> int:
    """Bytes of "12GB", "11.5 GiB" or "6000MB"; a number alone means GB. GB are 10^9 bytes, GiB 2^30.

    Raises :class:`ParamsInvalid` for anything else, and for less than 2 GB.
    """
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise ParamsInvalid(f"'{text:.32}' is no amount of memory.", "Write it like 12GB, 11.5GiB or 6000MB.")
    amount = int(float(found[1]) * _UNITS[(found[2] or "GB").upper()])
    if amount < LEAST:
        raise ParamsInvalid(f"A budget of {text.strip()} is too small for any plan.", "Give at least 2GB.")
    return amount


def budget_for(machine: Machine, asked: int | None = None) -> Budget | None:
    """None where nothing runs on a card of its own memory. ``asked``: bytes, as the user said.

    Without a wish, what is free now less what others will want; with one, that, but never more than is free.
    """
    total = machine.vram_total
    if total is None:
        return None
    free = total if machine.vram_free is None else min(machine.vram_free, total)
    if asked is not None:
        if asked <= free:
            return Budget(asked, "as asked for")
        return Budget(free, f"{free / GIB:.1f} GiB are free, less than what was asked for")
    if machine.shares_display:
        return Budget(max(free - VIEWPORT, 0), "what is free, less room for the desktop and Blender's viewport")
    return Budget(max(free - OTHERS, 0), "what is free on a card without a desktop")
