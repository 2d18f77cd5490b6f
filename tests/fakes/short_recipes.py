"""Every recipe of a backend, with as much work as a test of what surrounds the work needs.

Used as ``kiss3d serve --recipes tests.fakes.short_recipes:RECIPES``.
"""

from __future__ import annotations

from tests.fakes.recipes import bundle, tetrahedron

from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.models.offers import BUILT_RECIPES
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.stage import Stage, StageContext


class Shape(Stage[int, Mesh]):
    name = "shape"
    title = "Shape"
    weight = 1.0

    def run(self, value: int, context: StageContext) -> Mesh:
        context.progress(1, 1)
        return tetrahedron()


class ShortRecipe(Recipe):
    """As many bundles as the job asks for, and one small mesh for each that is gone on with."""

    name = "short"

    def __init__(self) -> None:
        self.shape = Shape()
        self.stages = (self.shape,)

    def wire(self, inputs: JobInputs, run: Run) -> dict[int, Mesh]:
        mesh = run.stage(self.shape, inputs.seed)
        run.mesh_ready(mesh, "coarse")
        chosen = run.choose([bundle(number) for number in range(inputs.bundles)])
        return dict.fromkeys(chosen, mesh)


RECIPES = dict.fromkeys(BUILT_RECIPES, ShortRecipe())
