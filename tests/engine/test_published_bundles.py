"""The published bundle of a ball through ``views_to_3d``, without model files: its hull is not round, its mesh is.

The bust is looked at where people do: tests/blender/test_real_backend.py.
"""

from __future__ import annotations

import threading
from pathlib import Path

import attrs
import numpy as np
import pytest
from tests.stages.context import Record

from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.recipe import JobInputs
from kiss3d_backend.pipeline.runner import run_recipe
from kiss3d_backend.recipes.reconstruct import RECONSTRUCT_PRESETS
from kiss3d_backend.recipes.views_to_3d import ViewsTo3D

BALL = Path(__file__).parent / "data" / "bundle_sphere.png"


@pytest.fixture(scope="module")
def meshes() -> dict[str, Mesh]:
    """The coarse and the final one, with a quarter of the preset's steps."""
    draft = RECONSTRUCT_PRESETS["draft"]
    refine = attrs.evolve(
        draft.refine, rough=attrs.evolve(draft.refine.rough, steps=15), fine=attrs.evolve(draft.refine.fine, steps=5)
    )
    record = Record()
    inputs = JobInputs(b"", views=(BALL.read_bytes(),), faces=1000, texture_size=1024)
    run_recipe(ViewsTo3D(None, attrs.evolve(draft, refine=refine)), inputs, record, threading.Event())
    return {quality: mesh for mesh, quality in record.of("mesh")}


def spread_of_radius(mesh: Mesh) -> float:
    """Standard deviation of the vertices' distances from the middle, in parts of their mean."""
    middle = (mesh.positions.min(axis=0) + mesh.positions.max(axis=0)) / 2
    radius = np.linalg.norm(mesh.positions - middle, axis=1)
    return float(radius.std() / radius.mean())


def test_the_ball_comes_out_round(meshes: dict[str, Mesh]) -> None:
    assert spread_of_radius(meshes["coarse"]) > 0.03, "four views have corners in common that the ball has not"
    assert spread_of_radius(meshes["final"]) < 0.02
    extents = np.ptp(meshes["final"].positions, axis=0)
    assert extents.max() / extents.min() < 1.03, extents
