"""Making a job again, a little differently: the settings of the new one, and where it goes (no bpy)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import evolve

from kiss3d_protocol.params import MAX_SEED, GenerateParams

GAP = 1.25
"""How far apart variations stand, in their sizes."""


def next_seed(params: GenerateParams) -> GenerateParams:
    """The settings of another variation from the beginning."""
    return evolve(params, seed=_after(params.seed), bundle_seed=None)


def from_here(params: GenerateParams, bundle_seed: int, prompt: str) -> GenerateParams:
    """The settings of a job that keeps the imagined views of the one with ``params``, and draws another bundle of them.

    The backend takes up what it has kept of the earlier job, since picture and seed are the same.
    """
    return evolve(params, bundle_seed=bundle_seed, prompt=prompt)


def next_bundle_seed(params: GenerateParams) -> int:
    """Another seed than the one that the bundles of ``params`` were made with; theirs follow one another."""
    first = params.seed if params.bundle_seed is None else params.bundle_seed
    return (first + params.bundles) % (MAX_SEED + 1)


def place_beside(
    location: Sequence[float], size: float, taken: Iterable[Sequence[float]]
) -> tuple[float, float, float]:
    """The first free place to the right (+X) of ``location``, in steps of :data:`GAP` sizes.

    ``taken``: where other results stand. Locations are in scene units.
    """
    x, y, z = location
    step = GAP * size
    occupied = [tuple(one) for one in taken]
    number = 1
    while any(max(abs(x + number * step - ox), abs(y - oy), abs(z - oz)) < step / 2 for ox, oy, oz in occupied):
        number += 1
    return x + number * step, y, z


def _after(seed: int) -> int:
    return (seed + 1) % (MAX_SEED + 1)
