"""From bundles to textured meshes: the part that every recipe of the pipeline ends in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from kiss3d_backend.mesh.frame import to_unit_box
from kiss3d_backend.pipeline.recipe import JobInputs, Run
from kiss3d_backend.pipeline.types import Bundle, Mesh, Views
from kiss3d_backend.recipes.reconstruct import ReconstructSettings
from kiss3d_backend.stages.finish_shape import FinishShape, ToFinish
from kiss3d_backend.stages.fit_coarse import FitCoarse, ToFit
from kiss3d_backend.stages.refine_shape import RefineShape, ToRefine
from kiss3d_backend.stages.split_bundle import SplitBundle
from kiss3d_backend.stages.start_shape import Start, StartShape
from kiss3d_backend.stages.texture_shape import TextureShape, ToTexture

if TYPE_CHECKING:
    from kiss3d_backend.networks.library import Library


LRM_STAGES: Mapping[str, tuple[str, ...]] = MappingProxyType({"reference_shape": ("lrm",), "coarse": ("lrm",)})
"""The stages that compute with the LRM, in whichever recipe they are."""


class BundleToMesh:
    """The stages from a bundle to its mesh, and how they are wired.

    ``library``: the LRM makes a coarse mesh of the bundle's views; without it (None) the visual hull is the start.
    ``checked``: the bundles were checked where they were made.
    """

    def __init__(self, settings: ReconstructSettings, library: Library | None, *, checked: bool) -> None:
        self.settings = settings
        self.split = SplitBundle(checked=checked)
        self.coarse = None
        if library is not None:
            from kiss3d_backend.stages.reconstruct_coarse import ReconstructCoarse

            self.coarse = ReconstructCoarse(library.lrm, weights=library.weights("lrm"))
        self.fit = FitCoarse()
        self.start = StartShape()
        self.refine = RefineShape(settings.refine, settings.rasterizer)
        self.finish = FinishShape()
        self.texture = TextureShape()
        learned = () if self.coarse is None else (self.coarse, self.fit)
        self.stages = (self.split, *learned, self.start, self.refine, self.finish, self.texture)

    def wire(self, bundles: Mapping[int, Bundle], inputs: JobInputs, run: Run) -> dict[int, Mesh]:
        """One mesh for each bundle, in the unit box."""
        views = run.each(self.split, bundles)
        fitted: dict[int, Mesh | None] = dict.fromkeys(bundles)
        if self.coarse is not None:
            coarse = run.each(self.coarse, {i: Views(each.colours) for i, each in views.items()})
            fitted = run.each(self.fit, {i: ToFit(views[i], coarse[i]) for i in views})
        start = run.each(self.start, {i: Start(views[i], fitted[i]) for i in views})
        for i, mesh in start.items():
            run.mesh_ready(mesh, "coarse", i)
        faces = inputs.faces or self.settings.faces
        size = inputs.texture_size or self.settings.texture_size
        detail = self.settings.detail(faces, size)
        refined = run.each(
            self.refine,
            {i: ToRefine(views[i], start[i], "hull" if fitted[i] is None else "coarse", detail) for i in views},
        )
        finished = run.each(self.finish, {i: ToFinish(mesh, faces, views[i]) for i, mesh in refined.items()})
        textured = run.each(
            self.texture, {i: ToTexture(views[i], each.full, each.low, size) for i, each in finished.items()}
        )
        return {i: attrs.evolve(mesh, positions=to_unit_box(mesh.positions)) for i, mesh in textured.items()}
