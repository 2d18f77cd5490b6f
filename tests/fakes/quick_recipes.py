"""The worker's own recipes with few steps, for tests of what surrounds the steps.

Used as ``kiss3d serve --recipes tests.fakes.quick_recipes:quick_recipes``.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from kiss3d_backend.mesh.refine.settings import FAST
from kiss3d_backend.recipes import WorkerRecipes, learned
from kiss3d_backend.recipes.reconstruct import RECONSTRUCT_PRESETS

REFINE_STEPS = 5
"""Of each of the two stages."""

EDGE = 0.03
"""As long as in a draft: a fourth of the triangles."""

VIEW_STEPS = 3


def quick_recipes(data_dir: Path, vram_budget: int | None = None) -> WorkerRecipes:
    """The preset "fast" is the shipped one but for its steps and edges: stages, networks and pictures are the same."""
    refine = attrs.evolve(
        FAST,
        rough=attrs.evolve(FAST.rough, steps=REFINE_STEPS),
        fine=attrs.evolve(FAST.fine, steps=REFINE_STEPS, longest_edge=EDGE, shortest_edge=EDGE),
        mesh_every=2,
    )
    RECONSTRUCT_PRESETS["fast"] = attrs.evolve(RECONSTRUCT_PRESETS["fast"], refine=refine)
    fast = learned.LEARNED_PRESETS["fast"]
    learned.LEARNED_PRESETS["fast"] = attrs.evolve(
        fast, views=attrs.evolve(fast.views, steps=VIEW_STEPS), reconstruct=RECONSTRUCT_PRESETS["fast"]
    )
    return WorkerRecipes(data_dir, vram_budget)
