"""The recipes that this version knows, by :func:`recipe_key`."""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from kiss3d_backend.devices.machine import Machine
from kiss3d_backend.devices.plan import Plan
from kiss3d_backend.devices.planner import plan, plans
from kiss3d_backend.devices.workload import Workload, workload_of
from kiss3d_backend.models.offers import BUILT_RECIPES
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.pipeline.events import MeshQuality
from kiss3d_backend.pipeline.memory import RunningPlan
from kiss3d_backend.pipeline.recipe import JobInputs, Recipe
from kiss3d_backend.pipeline.runner import run_recipe
from kiss3d_backend.pipeline.types import Bundle, Mesh
from kiss3d_backend.recipes.draft import DraftRecipe
from kiss3d_backend.recipes.job_plan import JobPlan
from kiss3d_backend.recipes.reconstruct import RECONSTRUCT_OF, RECONSTRUCT_PRESETS
from kiss3d_backend.recipes.views_to_3d import ViewsTo3D
from kiss3d_backend.stages.refine_shape import require_torch
from kiss3d_protocol.params import DEFAULT_RECIPE

if TYPE_CHECKING:
    from kiss3d_backend.networks.library import Library

RECIPES: Mapping[str, Recipe] = MappingProxyType({"draft": DraftRecipe()})
"""Those that need no model files and no torch."""


class WorkerRecipes(Mapping[str, Recipe]):
    """All recipes of a worker. One that needs networks is made when it is first asked for: that imports torch.

    ``data_dir``: where the model store is. ``vram_budget``: bytes of the graphics card that may be planned with; None
    leaves it to the machine.
    """

    def __init__(self, data_dir: Path, vram_budget: int | None = None) -> None:
        self._data_dir = data_dir
        self._vram_budget = vram_budget
        self._ceiling: int | None = None
        self._made: dict[str, Recipe] = dict(RECIPES)

    @functools.cached_property
    def _machine(self) -> Machine:
        """As it was before this process took any of the card's memory."""
        from kiss3d_backend.devices.nvidia import nvidia_gpu
        from kiss3d_backend.devices.probe import probe_machine
        from kiss3d_backend.torch_trial.answer import torch_answer

        free = {gpu.name: gpu.vram_free for gpu in (nvidia_gpu(),) if gpu is not None}
        store = ModelStore(self._data_dir)
        machine = probe_machine(self._data_dir, store.cache.root, torch_answer(), measure_disks=False)
        if machine.gpu is None or machine.gpu.name not in free:
            return machine
        return attrs.evolve(machine, gpu=attrs.evolve(machine.gpu, vram_free=free[machine.gpu.name]))

    @functools.cached_property
    def _library(self) -> Library:
        from kiss3d_backend.networks.library import Library

        return Library(ModelStore(self._data_dir), self._plans("views_to_3d", "fast")[0])

    def plan(self, key: str) -> RunningPlan | None:
        """A plan for each recipe that has networks. One that ran out of memory is not tried again in this process."""
        recipe, preset = _recipe_and_preset(key)
        if key in RECIPES or (recipe == "views_to_3d" and not self._has_lrm()):
            return None
        require_torch()
        plans = self._plans(recipe, preset)
        possible = [each for each in plans if self._ceiling is None or (each.vram or each.ram) <= self._ceiling]

        def lowered(plan: Plan) -> None:
            self._ceiling = plan.vram or plan.ram

        if recipe != "views_to_3d":
            from kiss3d_backend.recipes.learned import LEARNED_PRESETS

            self._library.draws_by(LEARNED_PRESETS[preset].flux_entry)
        unbound = None if self._vram_budget is None else plan(recipe, _workload(recipe, preset), self._machine)
        return JobPlan(self._library, possible or plans[-1:], lowered, unbound)

    def _plans(self, recipe: str, preset: str) -> tuple[Plan, ...]:
        return plans(recipe, _workload(recipe, preset), self._machine, self._vram_budget)

    def loaded(self) -> tuple[str, ...]:
        """The networks that are in memory."""
        # A library that nobody has called for would import torch to say that it is empty.
        return self._library.names if "_library" in self.__dict__ else ()

    def __getitem__(self, key: str) -> Recipe:
        if key not in BUILT_RECIPES:
            raise KeyError(key)
        recipe = self._made.get(key)
        if recipe is None or (isinstance(recipe, ViewsTo3D) and recipe.learned != self._has_lrm()):
            recipe = self._made[key] = self._make(key)
        return recipe

    def __iter__(self) -> Iterator[str]:
        return iter(BUILT_RECIPES)

    def __len__(self) -> int:
        return len(BUILT_RECIPES)

    def _make(self, key: str) -> Recipe:
        require_torch()
        name, preset = _recipe_and_preset(key)
        if name == "views_to_3d":
            settings = RECONSTRUCT_PRESETS[RECONSTRUCT_OF[preset]]
            return ViewsTo3D(self._library if self._has_lrm() else None, settings)
        from kiss3d_backend.recipes.learned import LEARNED_PRESETS, ImageTo3D, MeshTo3D, TextTo3D

        kinds = {"image_to_3d": ImageTo3D, "text_to_3d": TextTo3D, "mesh_to_3d": MeshTo3D}
        return kinds[name](self._library, LEARNED_PRESETS[preset])

    def _has_lrm(self) -> bool:
        return ModelStore(self._data_dir).entry("lrm").ready


def _workload(recipe: str, preset: str) -> Workload:
    # Reconstruction alone needs the same of every preset.
    return workload_of(recipe, "fast" if recipe == "views_to_3d" else preset)


def _recipe_and_preset(key: str) -> tuple[str, str]:
    """Of a key of :func:`recipe_key`."""
    recipe, _, preset = key.rpartition("/")
    return recipe or DEFAULT_RECIPE, preset


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
    run_recipe(RECIPES["draft"], JobInputs(file.getvalue(), faces=200, texture_size=256), _NoSink(), threading.Event())


class _NoSink:
    """Takes events and does nothing with them."""

    def stage_started(self, stage: str, title: str, index: int, count: int) -> None: ...

    def progress(self, stage: str, step: int, steps: int, fraction: float, eta_seconds: float | None) -> None: ...

    def preview(self, stage: str, image: NDArray[np.uint8], text: str = "") -> None: ...

    def mesh_ready(self, mesh: Mesh, quality: MeshQuality, bundle: int = 0) -> None: ...

    def bundles_ready(self, stage: str, bundles: Sequence[Bundle], waiting: bool) -> None: ...

    def warning(self, code: str, message: str, remedy: str) -> None: ...
