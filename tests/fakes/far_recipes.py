"""Recipes for workers on several machines: fake networks that stay loaded, a step that is kept, one that waits.

Used as ``kiss3d serve --recipes tests.fakes.far_recipes:RECIPES`` with the repository root on PYTHONPATH. A job whose
prompt is a path waits in its last step until that file is there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tests.fakes.recipes import tetrahedron

from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.networks.loading import note_load, note_use
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.stage import Stage, StageContext

STEPS = 100_000
"""More than anybody waits for."""

LOADED: set[str] = set()
"""The networks in this process's memory."""


class Shape(Stage[int, Mesh]):
    """Calls for its networks; another mesh for every seed."""

    name = "shape"
    title = "Shaping"
    weight = 1.0
    kept = True

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = tuple(networks)

    def fingerprint(self) -> str:
        return " ".join(self._networks)

    def run(self, value: int, context: StageContext) -> Mesh:
        for name in self._networks:
            note_use(name)
            if name not in LOADED:
                LOADED.add(name)
                note_load(name, 0.0)
        noise = np.random.default_rng(value).random((4, 3), np.float32)
        return Mesh(tetrahedron().positions + (noise / 5).astype(np.float32), tetrahedron().triangles)


class Finish(Stage[tuple[Mesh, str], Mesh]):
    """Passes its mesh on, once the file is there."""

    name = "finish"
    title = "Finishing"
    weight = 1.0

    def run(self, value: tuple[Mesh, str], context: StageContext) -> Mesh:
        mesh, gate = value
        step = 0
        while gate and not Path(gate).exists():
            context.progress(step, STEPS)
            time.sleep(0.05)
            step += 1
        return mesh


class FarRecipe(Recipe):
    def __init__(self, name: str, networks: Sequence[str]) -> None:
        self.name = name
        self.shape, self.finish = Shape(networks), Finish()
        self.stages = (self.shape, self.finish)

    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        mesh = run.stage(self.shape, inputs.seed)
        run.mesh_ready(mesh, "coarse")
        return run.stage(self.finish, (mesh, inputs.prompt))


class FarRecipes(dict[str, Recipe]):
    """See :class:`kiss3d_backend.pipeline.memory.WarmRecipes`."""

    def loaded(self) -> tuple[str, ...]:
        return tuple(sorted(LOADED))


RECIPES = FarRecipes(
    {
        "draft": FarRecipe("picture", ("cut-out", "shaper")),
        "views_to_3d/draft": FarRecipe("views", ("reader", "refiner")),
    }
)
