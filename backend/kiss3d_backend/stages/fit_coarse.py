"""The LRM's mesh brought to the size that the views show; one that does not show the same object is left out."""

from __future__ import annotations

import attrs
import numpy as np

from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.view_fit import best_scale, silhouette_ious
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import BundleViews

LEAST_IOU = 0.6
"""Of the silhouettes in every view. Refinement moves a surface; it does not grow what is missing altogether."""


@attrs.frozen(eq=False)
class ToFit:
    """``coarse``: about the origin of the bundle's world, of any size."""

    views: BundleViews
    coarse: Mesh


class FitCoarse(Stage[ToFit, Mesh | None]):
    """The mesh at its right size, or None with the warning ``mesh.coarse_doubtful``.

    The published system states the distance from which each kind of bundle sees the LRM's mesh (4.15 or 4.5); with a
    fixed field of view a distance is a scale, so the silhouettes tell it for every kind.
    """

    name = "fit_coarse"
    title = "Fitting the coarse shape"
    weight = 0.5

    def run(self, value: ToFit, context: StageContext) -> Mesh | None:
        coarse, masks = value.coarse, value.views.masks
        scale = best_scale(coarse.positions, coarse.triangles, masks)
        context.progress(1, 2)
        fitted = attrs.evolve(coarse, positions=coarse.positions * np.float32(scale))
        ious = silhouette_ious(fitted.positions, fitted.triangles, masks)
        if ious.min() >= LEAST_IOU:
            return fitted
        context.warn(
            "mesh.coarse_doubtful",
            f"The coarse shape does not match the views (overlap {ious.min():.0%}), so their outlines serve instead.",
            "If the result lacks hollows or gaps, try another seed.",
        )
        return None
