"""What memory a stage takes, and the plan that it runs by: what a runner knows of them. Without torch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import attrs


@attrs.frozen
class MemoryUse:
    """Bytes. ``vram``: that torch had reserved on the device at most. ``vram_allocated``: that tensors took of them.

    ``ram``: of the process's own memory, without files that are only mapped. None is not known.
    """

    vram: int | None = None
    vram_allocated: int | None = None
    ram: int | None = None


class MemoryMeter(Protocol):
    """Measures one stage at a time, on the thread that runs it."""

    def start(self) -> None:
        """A stage begins: what was measured before is forgotten."""

    def stop(self) -> MemoryUse:
        """The most that was in use since :meth:`start`."""
        ...


class NoMeter:
    """Measures nothing."""

    def start(self) -> None: ...

    def stop(self) -> MemoryUse:
        return MemoryUse()


class RunningPlan(Protocol):
    """The plan that carries a job: where its networks are and how precise, and what is planned for each stage."""

    @property
    def name(self) -> str:
        """A word or two that tell this plan from those above and below it; empty where nothing is planned."""
        ...

    @property
    def lowest(self) -> bool:
        """Whether no plan needs less."""
        ...

    def begin(self, stage: str) -> MemoryUse:
        """The stage of this name is about to run: makes ready for it, and returns what is planned for it."""
        ...

    def used(self, stage: str) -> Mapping[str, str]:
        """What of the machine the stage of this name uses by the plan, by stable names, for the job's report."""
        ...

    def lower(self) -> None:
        """Takes the next plan that needs less, and frees what the one before held. Not for the lowest."""


@runtime_checkable
class PlannedRecipes(Protocol):
    """Recipes that run by plans."""

    def plan(self, key: str) -> RunningPlan | None:
        """For the recipe of this :func:`~kiss3d_backend.pipeline.recipe.recipe_key`; None when it needs none.

        Raises :class:`MemoryTooSmall` when none fits the machine.
        """
        ...


@runtime_checkable
class WarmRecipes(Protocol):
    """Recipes that keep networks in memory from one job to the next."""

    def loaded(self) -> tuple[str, ...]:
        """The names of those that are in memory, as :mod:`kiss3d_backend.networks.loading` is told of them."""
        ...


class NoPlan:
    """Nothing is planned."""

    name = ""
    lowest = True

    def begin(self, stage: str) -> MemoryUse:
        return MemoryUse()

    def used(self, stage: str) -> Mapping[str, str]:
        return {}

    def lower(self) -> None:
        raise AssertionError("there is no plan to go down from")


_DRIVER_WORDS = ("CUDA out of memory", "CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short: Python's own error, torch's, or one of the driver's that a library passes on."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _DRIVER_WORDS)
