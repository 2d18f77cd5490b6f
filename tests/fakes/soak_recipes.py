"""Draft-like jobs of about half a second, for runs that kill backends: two steps, the first of which is kept.

Used as ``kiss3d serve --recipes tests.fakes.soak_recipes:RECIPES`` with the repository root on PYTHONPATH.
"""

from __future__ import annotations

import numpy as np
from tests.fakes.recipes import tetrahedron
from tests.fakes.steps import take_steps

from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.stage import Stage, StageContext

STEP_SECONDS = 0.02


class Shape(Stage[int, Mesh]):
    """Another mesh for every seed, so that jobs share no blobs."""

    name = "shape"
    title = "Shaping"
    weight = 1.0
    kept = True

    def run(self, value: int, context: StageContext) -> Mesh:
        take_steps(context, STEP_SECONDS)
        noise = np.random.default_rng(value).random((4, 3), np.float32)
        return Mesh(tetrahedron().positions + 0.2 * noise, tetrahedron().triangles)


class Finish(Stage[Mesh, Mesh]):
    """Passes its mesh on, after a while and a picture."""

    name = "finish"
    title = "Finishing"
    weight = 1.0

    def run(self, value: Mesh, context: StageContext) -> Mesh:
        shade = int(value.positions[0, 0] * 200)
        context.preview(np.full((8, 8, 3), shade, np.uint8))
        take_steps(context, STEP_SECONDS)
        return value


class SoakRecipe(Recipe):
    name = "soak"

    def __init__(self) -> None:
        self.shape, self.finish = Shape(), Finish()
        self.stages = (self.shape, self.finish)

    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        mesh = run.stage(self.shape, inputs.seed)
        run.mesh_ready(mesh, "coarse")
        return run.stage(self.finish, mesh)


RECIPES = {"draft": SoakRecipe()}
