"""How far a set-up is, from the lines that pip and uv print: pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .steps import Step

_BYTES = re.compile(r"^Progress (\d+) of (\d+)$")
_COLLECTING = re.compile(r"^\s*Collecting ([A-Za-z0-9_.-]+)")
_DOWNLOADING = re.compile(r"^\s*Downloading (?:\S*/)?([^/\s]+?\.(?:whl|tar\.gz|zip))")
_INSTALLING = "Installing collected packages"

INSTALLING_SHARE = 0.3
"""Of a step with pip: what unpacking takes, after all has been collected."""


@dataclass
class StepProgress:
    """``packages``: how many the step may collect at most. ``text``: what is done now, "" for nothing to add."""

    packages: int
    collected: int = 0
    inside: float = 0.0
    installing: bool = False
    text: str = ""

    @property
    def fraction(self) -> float:
        """0 to 1; of a part whose length is not known before it ends, less than all."""
        if self.installing:
            return 1 - INSTALLING_SHARE
        done = (max(self.collected - 1, 0) + self.inside) / max(self.packages, 1)
        return min(done, 1.0) * (1 - INSTALLING_SHARE)

    def take(self, line: str) -> bool:
        """Takes a line of output in; True when there is something new to show."""
        if (amount := _BYTES.match(line)) is not None:
            have, total = int(amount[1]), int(amount[2])
            before, self.inside = self.inside, have / total if total else 0.0
            return self.inside - before >= 0.01 or have == total
        if (found := _COLLECTING.match(line)) is not None:
            self.collected, self.inside, self.text = self.collected + 1, 0.0, found[1]
            return True
        if (found := _DOWNLOADING.match(line)) is not None:
            self.text = found[1]
            return True
        if line.startswith(_INSTALLING):
            self.installing, self.text = True, ""
            return True
        return False


def overall(steps: Sequence[Step], current: int, inside: float) -> float:
    """The part of the whole that is done, 0 to 1, while the step ``current`` is done to ``inside``."""
    return sum(step.share for step in steps[:current]) + steps[current].share * inside


def is_progress(line: str) -> bool:
    """Whether a line tells of bytes alone, and is not worth keeping."""
    return _BYTES.match(line) is not None
