"""What nvidia-smi says about the machine's card. It comes with the driver, so it is there when a card can be used."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from .torch_builds import Card

QUERIES = ("name,driver_version,compute_cap", "name,driver_version")
"""Older drivers do not know the last field of the first one."""

SECONDS = 30


def find_card() -> Card | None:
    """The newest card, which is the one that torch counts first; None when there is no driver."""
    program = _nvidia_smi()
    if program is None:
        return None
    for query in QUERIES:
        command = [program, f"--query-gpu={query}", "--format=csv,noheader"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        cards = cards_of(done.stdout) if done.returncode == 0 else []
        if cards:
            return max(cards, key=lambda card: card.capability or (0, 0))
    return None


def cards_of(text: str) -> list[Card]:
    """The cards in what nvidia-smi printed, one a line: name, driver, and the capability where it was asked for."""
    cards: list[Card] = []
    for line in text.splitlines():
        fields = [part.strip() for part in line.split(",")]
        driver = _numbers(fields[1]) if len(fields) >= 2 else ()
        if not driver:
            continue
        capability = _numbers(fields[2]) if len(fields) >= 3 else ()
        cards.append(Card(fields[0], driver, (capability[0], capability[1]) if len(capability) == 2 else None))
    return cards


def _numbers(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else ()


def _nvidia_smi() -> str | None:
    found = shutil.which("nvidia-smi")
    if found is None and sys.platform == "win32":
        # Some drivers put it here and leave PATH alone.
        old = Path(r"C:\Program Files\NVIDIA Corporation\NVSMI\nvidia-smi.exe")
        return str(old) if old.is_file() else None
    return found
