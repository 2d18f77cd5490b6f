"""The LRM's mesh brought to the size that the views show."""

from __future__ import annotations

import attrs
import numpy as np

from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.mesh.view_fit import best_scale
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import BundleViews


@attrs.frozen(eq=False)
class ToFit:
    """``coarse``: about the origin of the bundle's world, of any size."""

    views: BundleViews
    coarse: Mesh


class FitCoarse(Stage[ToFit, Mesh]):
    """The mesh at its right size.

    The published system states the distance from which each kind of bundle sees the LRM's mesh (4.15 or 4.5); with a
    fixed field of view a distance is a scale, so the silhouettes tell it for every kind.
    """

    name = "fit_coarse"
    title = "Fitting the coarse shape"
    weight = 0.5

    def run(self, value: ToFit, context: StageContext) -> Mesh:
        coarse = value.coarse
        scale = best_scale(coarse.positions, coarse.triangles, value.views.masks)
        context.progress(1, 1)
        return attrs.evolve(coarse, positions=coarse.positions * np.float32(scale))
