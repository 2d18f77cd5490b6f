"""A finished bundle picture, or four views: straight to reconstruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.types import Mesh
from kiss3d_backend.recipes.bundle_to_mesh import LRM_STAGES, BundleToMesh
from kiss3d_backend.recipes.reconstruct import ReconstructSettings
from kiss3d_backend.stages.bundle_views import BundleFromViews, ToBundle
from kiss3d_backend.stages.read_bundle import ReadBundle
from kiss3d_backend.stages.read_views import ReadViews
from kiss3d_protocol.errors import ModelFileMissing

if TYPE_CHECKING:
    from kiss3d_backend.networks.library import Library


class ViewsTo3D(Recipe):
    """``library``: with the LRM's files, or None. Four views without normals need it; a bundle does not."""

    name = "views_to_3d"

    def __init__(self, library: Library | None, settings: ReconstructSettings) -> None:
        self.read = ReadBundle()
        self.rest = BundleToMesh(settings, library, checked=False)
        self.read_views = ReadViews()
        self.shape = None
        self.join = BundleFromViews()
        from_views = (self.read_views, self.join)
        if library is not None:
            from kiss3d_backend.stages.reconstruct_coarse import ReconstructCoarse

            self.shape = ReconstructCoarse(
                library.lrm, weights=library.weights("lrm"), name="reference_shape", title="Reference shape"
            )
            from_views = (self.read_views, self.shape, self.join)
            self.entries = LRM_STAGES
        self.stages = (self.read, *from_views, *self.rest.stages)

    @property
    def learned(self) -> bool:
        """Whether the LRM is used."""
        return self.shape is not None

    def wire(self, inputs: JobInputs, run: Run) -> Mapping[int, Mesh]:
        if len(inputs.views) == 1:
            bundle = run.stage(self.read, inputs.views[0])
        else:
            if self.shape is None:
                raise ModelFileMissing(
                    "Four views without normals need the LRM, whose files are not here.",
                    "Get it with 'kiss3d models pull lrm', or give a finished bundle picture.",
                )
            views = run.stage(self.read_views, inputs.views)
            shape = run.stage(self.shape, views)
            run.mesh_ready(shape, "coarse")
            bundle = run.stage(self.join, ToBundle(views, shape))
        return self.rest.wire({0: bundle}, inputs, run)
