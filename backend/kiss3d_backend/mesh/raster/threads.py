"""How many threads a computation may use on this machine."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = _QUOTA) -> int:
    """The cores that this process may use: its affinity and, in a container, the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        cores = min(cores, math.ceil(int(allowed) / int(period)))
    except (OSError, ValueError):  # no control group, or no limit ("max")
        pass
    return max(cores, 1)
