"""What a running recipe tells the outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.types import Bundle

MeshQuality = Literal["coarse", "refined", "final"]


@attrs.frozen
class JobWarning:
    """Something that the user should know although the job goes on. ``code`` is stable."""

    code: str
    message: str
    remedy: str


class EventSink(Protocol):
    """Takes the events of one job, in the order in which they happen, on the thread that runs the job."""

    def stage_started(self, stage: str, title: str, index: int, count: int) -> None:
        """The stage at ``index`` (from 0) of ``count`` begins."""

    def progress(self, stage: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None:
        """``step`` of ``steps`` of the stage is done; ``fraction`` of the whole job, 0 to 1, never falls."""

    def preview(self, stage: str, image: NDArray[np.uint8], text: str = "") -> None:
        """A picture to look at, (H, W, 3) or (H, W, 4) uint8, and what the stage has to say of it in words."""

    def mesh_ready(self, mesh: Mesh, quality: MeshQuality, bundle: int = 0) -> None:
        """A mesh that may be shown; each one replaces the one before that was made of the same bundle."""

    def bundles_ready(self, stage: str, bundles: Sequence[Bundle], waiting: bool) -> None:
        """Bundles that ``stage`` has made; ``waiting`` when the job goes on only after a choice."""

    def warning(self, code: str, message: str, remedy: str) -> None:
        """See :class:`JobWarning`."""
