"""A recipe: which stages, in which order. It only wires; the work is in the stages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import attrs

from kiss3d_backend.pipeline.events import MeshQuality
from kiss3d_backend.pipeline.stage import Stage
from kiss3d_backend.pipeline.types import Bundle, Mesh
from kiss3d_protocol.params import DEFAULT_RECIPE

In = TypeVar("In")
Out = TypeVar("Out")


@attrs.frozen(eq=False)
class JobInputs:
    """What a job starts from.

    ``picture``: the bytes of a picture file as they came, empty when the recipe takes none. ``seed``: 0 to 2**32 - 1.
    ``mesh``: a mesh to start from, for the recipes that take one. ``views``: one bundle picture or four views, as
    files. ``bundle_seed``: of the first bundle, None for the job's own: another one keeps the views that were imagined.
    ``prompt``: words, or empty. ``faces``: triangles of the result, and ``texture_size``: pixels; None leaves
    them to the preset. ``bundles``: how many bundles to make, 1 to 8. ``choose``: let the user choose among them.
    ``write_prompt``: have the prompt, or the caption, rewritten by a chat model. ``redraw``: draw a
    bundle that does not look right once more.
    """

    picture: bytes = attrs.field(default=b"", repr=False)
    seed: int = attrs.field(default=0, validator=[attrs.validators.ge(0), attrs.validators.lt(2**32)])
    mesh: Mesh | None = attrs.field(default=None, repr=False)
    views: tuple[bytes, ...] = attrs.field(default=(), repr=False, kw_only=True)
    prompt: str = attrs.field(default="", kw_only=True)
    bundle_seed: int | None = attrs.field(default=None, kw_only=True)
    faces: int | None = attrs.field(default=None, kw_only=True)
    texture_size: int | None = attrs.field(default=None, kw_only=True)
    bundles: int = attrs.field(default=1, validator=attrs.validators.ge(1), kw_only=True)
    choose: bool = attrs.field(default=False, kw_only=True)
    write_prompt: bool = attrs.field(default=False, kw_only=True)
    redraw: bool = attrs.field(default=True, kw_only=True)


class Run(Protocol):
    """The run that a recipe is wired into."""

    def stage(self, stage: Stage[In, Out], value: In) -> Out:
        """Runs one of the recipe's stages on ``value``; stages that were declared before it are skipped."""
        ...

    def each(self, stage: Stage[In, Out], values: Mapping[int, In]) -> dict[int, Out]:
        """Runs a stage once for each bundle that is gone on with; ``values`` and result by the bundle's index."""
        ...

    def mesh_ready(self, mesh: Mesh, quality: MeshQuality, bundle: int = 0) -> None:
        """Shows a mesh on the way, made of the bundle of that index. What :meth:`Recipe.wire` returns is shown as final
        without this."""
        ...

    def choose(self, bundles: Sequence[Bundle]) -> tuple[int, ...]:
        """Shows the bundles, and returns the indices of those to go on with, in rising order.

        When the job is to choose, blocks until somebody has chosen; raises :class:`JobCancelled` soon after a cancel.
        Otherwise returns all of them at once. Belongs right after the stage that made the bundles.
        """
        ...


class Recipe(ABC):
    """A named way from inputs to a mesh. ``stages``: every stage that may run, once, in that order.

    ``entries``: by the name of a stage, the catalogue entries whose files it computes with.
    """

    name: str
    stages: tuple[Stage[Any, Any], ...]
    entries: Mapping[str, tuple[str, ...]] = MappingProxyType({})

    @abstractmethod
    def wire(self, inputs: JobInputs, run: Run) -> Mesh | Mapping[int, Mesh]:
        """Hands each stage's output to the next.

        Returns the final mesh, or, where several bundles were let through, one for each by its index.
        """


def recipe_key(recipe: str, preset: str) -> str:
    """Under what name a worker keeps its recipe: the preset alone for ``image_to_3d``, else ``RECIPE/PRESET``."""
    return preset if recipe == DEFAULT_RECIPE else f"{recipe}/{preset}"
