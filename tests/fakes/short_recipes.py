"""Every recipe of a backend, with as much work as a test of what surrounds the work needs.

Used as ``kiss3d serve --recipes tests.fakes.short_recipes:RECIPES``, or with ``KISS3D_RECIPES``.
"""

from __future__ import annotations

from tests.fakes.recipes import bundle, tetrahedron
from tests.fakes.steps import take_steps

from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.models.offers import BUILT_RECIPES
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.stages.read_picture import ReadPicture
from kiss3d_backend.stages.remove_background import RemoveBackground

STEP_SECONDS = 0.03


class Shape(Stage[int, Mesh]):
    """Takes long enough to be killed in."""

    name = "shape"
    title = "Shape"
    weight = 1.0

    def run(self, value: int, context: StageContext) -> Mesh:
        take_steps(context, STEP_SECONDS)
        return tetrahedron()


class ShortRecipe(Recipe):
    """Looks at the picture, so that broken ones are refused; then as many bundles as the job asks for, and one small
    mesh for each that is gone on with."""

    name = "short"

    def __init__(self) -> None:
        self.read = ReadPicture()
        self.cut_out = RemoveBackground()
        self.shape = Shape()
        self.stages = (self.read, self.cut_out, self.shape)

    def wire(self, inputs: JobInputs, run: Run) -> dict[int, Mesh]:
        if inputs.picture:
            run.stage(self.cut_out, run.stage(self.read, inputs.picture))
        mesh = run.stage(self.shape, inputs.seed)
        run.mesh_ready(mesh, "coarse")
        chosen = run.choose([bundle(number) for number in range(inputs.bundles)])
        return dict.fromkeys(chosen, mesh)


RECIPES = dict.fromkeys(BUILT_RECIPES, ShortRecipe())
