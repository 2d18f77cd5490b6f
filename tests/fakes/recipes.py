"""Recipes that misbehave on demand: the seed of a job says how.

Used as ``kiss3d serve --recipes tests.fakes.recipes:RECIPES`` with the repository root on PYTHONPATH.
"""

from __future__ import annotations

import os
import time

import numpy as np

from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe, Run
from kiss3d_backend.pipeline.stage import Stage, StageContext
from kiss3d_backend.pipeline.types import Bundle

QUICK, SLOW, EXIT, HANG, NO_MEMORY, BROKEN, DEAF, BUNDLES, STEADY = range(9)
"""BUNDLES makes as many bundles as the job asks for, and a mesh of each that was let through. STEADY takes two
seconds."""


def tetrahedron() -> Mesh:
    positions = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    triangles = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    return Mesh(positions, triangles)


def bundle(number: int) -> Bundle:
    """A small picture of one grey."""
    return Bundle(np.full((8, 16, 3), 10 * number, np.uint8), seed=BUNDLES + number)


class Misbehave(Stage[int, Mesh]):
    name = "misbehave"
    title = "Misbehaving"
    weight = 1.0

    def run(self, value: int, context: StageContext) -> Mesh:
        if value == SLOW:
            for step in range(600):
                context.progress(step, 600)
                time.sleep(0.05)
        elif value == STEADY:
            for step in range(40):
                context.progress(step, 40)
                time.sleep(0.05)
        elif value == EXIT:
            context.progress(1, 10)
            os._exit(7)
        elif value == HANG:
            context.progress(1, 10)
            time.sleep(3600)
        elif value == NO_MEMORY:
            raise MemoryError
        elif value == BROKEN:
            raise RuntimeError("the stage is broken")
        elif value == DEAF:
            # Progress without ever looking at the cancel token.
            for step in range(1200):
                context._sink.progress(self.name, step, 1200, step / 1200, None)
                time.sleep(0.05)
        return tetrahedron()


class MisbehavingRecipe(Recipe):
    name = "misbehaving"

    def __init__(self) -> None:
        self.misbehave = Misbehave()
        self.stages = (self.misbehave,)

    def wire(self, inputs: JobInputs, run: Run) -> Mesh | dict[int, Mesh]:
        run.mesh_ready(tetrahedron(), "coarse")
        mesh = run.stage(self.misbehave, inputs.seed)
        if inputs.seed != BUNDLES:
            return mesh
        chosen = run.choose([bundle(number) for number in range(inputs.bundles)])
        return dict.fromkeys(chosen, mesh)


RECIPES = {"draft": MisbehavingRecipe()}
