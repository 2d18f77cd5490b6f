"""A recipe: which stages, in which order. It only wires; the work is in the stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, TypeVar

import attrs

from kiss3d_backend.pipeline.events import MeshQuality
from kiss3d_backend.pipeline.stage import Stage
from kiss3d_backend.pipeline.types import Mesh

In = TypeVar("In")
Out = TypeVar("Out")


@attrs.frozen(eq=False)
class JobInputs:
    """What a job starts from.

    ``picture``: the bytes of a picture file as they came. ``seed``: 0 to 2**32 - 1. ``mesh``: a mesh to start from, for
    the recipes that take one.
    """

    picture: bytes = attrs.field(repr=False)
    seed: int = attrs.field(default=0, validator=[attrs.validators.ge(0), attrs.validators.lt(2**32)])
    mesh: Mesh | None = attrs.field(default=None, repr=False)


class Run(Protocol):
    """The run that a recipe is wired into."""

    def stage(self, stage: Stage[In, Out], value: In) -> Out:
        """Runs one of the recipe's stages on ``value``."""
        ...

    def mesh_ready(self, mesh: Mesh, quality: MeshQuality) -> None:
        """Shows a mesh on the way. The one that :meth:`Recipe.wire` returns is shown as final without this."""
        ...


class Recipe(ABC):
    """A named way from inputs to a mesh. ``stages``: every stage, once, in the order in which they run."""

    name: str
    stages: tuple[Stage[Any, Any], ...]

    @abstractmethod
    def wire(self, inputs: JobInputs, run: Run) -> Mesh:
        """Hands each stage's output to the next. Returns the final mesh."""
