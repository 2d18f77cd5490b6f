"""ISOMER: the shape follows the normals and silhouettes of the views."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import attrs

from kiss3d_backend.mesh.hull import visual_hull
from kiss3d_backend.mesh.refine.settings import RefineSettings
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.view_fit import silhouette_ious
from kiss3d_backend.pipeline.snapshot import register
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import BundleViews
from kiss3d_protocol.errors import EnginePartMissing, ViewsDisagree

if TYPE_CHECKING:
    from kiss3d_backend.mesh.raster.torch_api import Rasterizer

_log = logging.getLogger(__name__)

_DOUBTFUL = 0.95
"""Of the least IoU of the silhouettes of a refined mesh: below, it may lack what its start lacked."""

_GAIN = 0.03
"""By how much the visual hull must fill the silhouettes better to be worth a second refinement."""


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

    Refinement moves a surface, and does not grow the legs that a coarse mesh lacks. Where its result does not fill the
    silhouettes, and the visual hull does, it begins again from the hull; the one that fills them better is the result,
    with the warning ``mesh.coarse_doubtful`` for that of the hull.

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
        rasterizer = self._rasterizer()
        choice = rasterizer.choice
        _log.info("rasteriser: %s on %s: %s", choice.back_end, choice.device, choice.reason)
        context.uses("rasterizer", choice.back_end)
        context.uses("rasterizer_device", choice.device)
        refined = self._refined(value, rasterizer, context)
        if value.origin == "hull" or (fit := _fit(refined, value.views)) >= _DOUBTFUL:
            return refined
        hull = _better_hull(value.views, fit + _GAIN, context.check_cancelled)
        if hull is None:
            return refined
        _log.info("refined, the coarse shape has a least IoU of %.2f; it is begun again from the visual hull", fit)
        again = self._refined(attrs.evolve(value, mesh=hull, origin="hull"), rasterizer, context)
        if _fit(again, value.views) <= fit:
            return refined
        context.warn(
            "mesh.coarse_doubtful",
            f"The coarse shape lacked parts that the views show (overlap {fit:.0%} when refined), so their outlines "
            "served instead.",
            "If the result lacks hollows or gaps, try another seed.",
        )
        return again

    def _refined(self, value: ToRefine, rasterizer: Rasterizer, context: StageContext) -> Mesh:
        from kiss3d_backend.mesh.refine.refine import refine
        from kiss3d_backend.mesh.refine.views import Views

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


def _fit(mesh: Mesh, views: BundleViews) -> float:
    return float(silhouette_ious(mesh.positions, mesh.triangles, views.masks).min())


def _better_hull(views: BundleViews, least: float, check: Callable[[], None]) -> Mesh | None:
    """The visual hull, if it fills the silhouettes to ``least``."""
    try:
        hull = visual_hull(views.mattes, check=check)
    except ViewsDisagree:
        return None
    return hull if _fit(hull, views) >= least else None


def require_torch() -> None:
    """Raises :class:`EnginePartMissing` when torch is not installed; imports nothing."""
    if importlib.util.find_spec("torch") is None:
        raise EnginePartMissing("The mesh engine's refinement needs torch, which is not installed.")
