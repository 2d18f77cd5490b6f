"""Work that can be watched, and killed in the middle."""

from __future__ import annotations

import time

from kiss3d_backend.pipeline.stage import StageContext

STEPS = 10


def take_steps(context: StageContext, seconds: float) -> None:
    """Ten steps, each of which is told and takes so long."""
    for step in range(STEPS):
        context.progress(step, STEPS)
        time.sleep(seconds)
