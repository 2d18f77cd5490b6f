"""ISOMER: the shape follows the normals and silhouettes of the views."""

from __future__ import annotations

import importlib.util
import logging
from typing import Literal

import attrs

from kiss3d_backend.mesh.refine.settings import RefineSettings
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import BundleViews
from kiss3d_protocol.errors import EnginePartMissing

_log = logging.getLogger(__name__)


@attrs.frozen(eq=False)
class ToRefine:
    """``origin``: "hull" runs the rough stage before the fine one."""

    views: BundleViews
    mesh: Mesh
    origin: Literal["coarse", "hull"]


class RefineShape(Stage[ToRefine, Mesh]):
    """Draws on CUDA when torch has it, else on the CPU; shows a mesh every few steps.

    Raises :class:`EnginePartMissing` without torch.
    """

    name = "refine"
    title = "Refining the shape"
    weight = 20.0

    def __init__(self, settings: RefineSettings, back_end: str | None = None) -> None:
        self.settings = settings
        self.back_end = back_end

    def run(self, value: ToRefine, context: StageContext) -> Mesh:
        require_torch()
        import torch

        from kiss3d_backend.mesh.raster.choose import choose
        from kiss3d_backend.mesh.refine.refine import refine
        from kiss3d_backend.mesh.refine.views import Views

        rasterizer = choose("cuda" if torch.cuda.is_available() else "cpu", self.back_end)
        choice = rasterizer.choice
        _log.info("rasteriser: %s on %s: %s", choice.back_end, choice.device, choice.reason)
        context.uses("rasterizer", choice.back_end)
        context.uses("rasterizer_device", choice.device)
        return refine(
            value.mesh,
            Views(value.views.normals, value.views.mattes),
            self.settings,
            rasterizer,
            start=value.origin,
            on_mesh=lambda mesh, _: context.show_mesh(mesh),
            on_step=lambda done: context.progress(done.step, done.steps),
            check_cancelled=context.check_cancelled,
        )


def require_torch() -> None:
    """Raises :class:`EnginePartMissing` when torch is not installed; imports nothing."""
    if importlib.util.find_spec("torch") is None:
        raise EnginePartMissing("The mesh engine's refinement needs torch, which is not installed.")
