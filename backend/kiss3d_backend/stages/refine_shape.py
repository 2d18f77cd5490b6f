"""ISOMER: the shape follows the normals and silhouettes of the views."""

from __future__ import annotations

import importlib.util
import logging
from typing import TYPE_CHECKING, Literal

import attrs

from kiss3d_backend.mesh.refine.settings import RefineSettings
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.snapshot import register
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import BundleViews
from kiss3d_protocol.errors import EnginePartMissing

if TYPE_CHECKING:
    from kiss3d_backend.mesh.raster.torch_api import Rasterizer

_log = logging.getLogger(__name__)


@register
@attrs.frozen(eq=False)
class ToRefine:
    """``origin``: "hull" runs the rough stage before the fine one. ``most_faces``: fewer than the settings' where the
    result has no use for more.
    """

    views: BundleViews
    mesh: Mesh
    origin: Literal["coarse", "hull"]
    most_faces: int


class RefineShape(Stage[ToRefine, Mesh]):
    """Draws on CUDA when torch has it, else on the CPU; shows a mesh every few steps.

    Raises :class:`EnginePartMissing` without torch.
    """

    name = "refine"
    title = "Refining the shape"
    weight = 20.0
    kept = True

    def __init__(self, settings: RefineSettings, back_end: str | None = None) -> None:
        self.settings = settings
        self.back_end = back_end

    def fingerprint(self) -> str:
        choice = self._rasterizer().choice
        return f"{attrs.astuple(self.settings)} {choice.back_end} {choice.device}"

    def run(self, value: ToRefine, context: StageContext) -> Mesh:
        from kiss3d_backend.mesh.refine.refine import refine
        from kiss3d_backend.mesh.refine.views import Views

        rasterizer = self._rasterizer()
        choice = rasterizer.choice
        _log.info("rasteriser: %s on %s: %s", choice.back_end, choice.device, choice.reason)
        context.uses("rasterizer", choice.back_end)
        context.uses("rasterizer_device", choice.device)
        return refine(
            value.mesh,
            Views(value.views.normals, value.views.mattes),
            attrs.evolve(self.settings, most_faces=min(self.settings.most_faces, value.most_faces)),
            rasterizer,
            start=value.origin,
            on_mesh=lambda mesh, _: context.show_mesh(mesh),
            on_step=lambda done: context.progress(done.step, done.steps),
            check_cancelled=context.check_cancelled,
        )

    def _rasterizer(self) -> Rasterizer:
        require_torch()
        import torch

        from kiss3d_backend.mesh.raster.choose import choose

        return choose("cuda" if torch.cuda.is_available() else "cpu", self.back_end)


def require_torch() -> None:
    """Raises :class:`EnginePartMissing` when torch is not installed; imports nothing."""
    if importlib.util.find_spec("torch") is None:
        raise EnginePartMissing("The mesh engine's refinement needs torch, which is not installed.")
