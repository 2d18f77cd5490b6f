"""The recipes that this version knows, by :func:`recipe_key`."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from kiss3d_backend.pipeline.events import BundleCandidate, MeshQuality
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe
from kiss3d_backend.pipeline.runner import run_recipe
from kiss3d_backend.pipeline.types import Mesh
from kiss3d_backend.recipes.draft import DraftRecipe

RECIPES: Mapping[str, Recipe] = MappingProxyType({"draft": DraftRecipe()})


def warm_up() -> None:
    """Runs the draft recipe once on a small picture, so that a first job meets no slow first call.

    Everything that the recipe imports has been imported with this package; some libraries still set
    themselves up on their first call.
    """
    side = 64
    disc = Image.new("RGBA", (side, side))
    ImageDraw.Draw(disc).ellipse((8, 8, side - 8, side - 8), fill=(200, 120, 60, 255))
    file = io.BytesIO()
    disc.save(file, "PNG")
    run_recipe(RECIPES["draft"], JobInputs(file.getvalue(), faces=200, texture_size=1024), _NoSink(), threading.Event())


class _NoSink:
    """Takes events and does nothing with them."""

    def stage_started(self, stage: str, title: str, index: int, count: int) -> None: ...

    def progress(self, stage: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None: ...

    def preview(self, stage: str, image: NDArray[np.uint8]) -> None: ...

    def mesh_ready(self, mesh: Mesh, quality: MeshQuality, bundle: int = 0) -> None: ...

    def bundles_ready(self, stage: str, bundles: Sequence[BundleCandidate], waiting: bool) -> None: ...

    def warning(self, code: str, message: str, remedy: str) -> None: ...
