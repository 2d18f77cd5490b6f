"""Compiles the mesh engine's loops and keeps them on the disk: ``python -m tests.fakes.compile_loops``.

The processes of a test run that begin without them begin at once, and each compiles all of them.
"""

from __future__ import annotations

import threading

import attrs
from tests.mesh.balls import faceted_ball
from tests.mesh.painted import painted
from tests.stages.context import Record

from kiss3d_backend.mesh.bundle.layout import join_bundle
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.png import encode_png
from kiss3d_backend.mesh.refine.settings import DRAFT
from kiss3d_backend.pipeline.recipe import JobInputs
from kiss3d_backend.pipeline.runner import run_recipe
from kiss3d_backend.recipes.reconstruct import ReconstructRecipe, ReconstructSettings


def main() -> None:
    few = attrs.evolve(
        DRAFT, rough=attrs.evolve(DRAFT.rough, steps=2), fine=attrs.evolve(DRAFT.fine, steps=4), most_faces=3000
    )
    picture = encode_png(join_bundle(render_bundle([painted(faceted_ball(48, 24, (0.5, 0.6, 0.5)))])))
    recipe = ReconstructRecipe(ReconstructSettings(few, faces=500, texture_size=1024))
    run_recipe(recipe, JobInputs(picture), Record(), threading.Event())


if __name__ == "__main__":
    main()
