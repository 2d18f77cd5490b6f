"""What a refinement is told: steps, edge lengths, weights. Nothing here needs torch.

Expansion, ramp, decay, view weights, refreshes, the rough stage's edges and the fine stage's shortest edge are the
published ones. The rest is our own, measured by bench_refine.py and bench_reconstruct.py in tests/benchmarks. Where a
start is off by the width of a limb, a vertex gathers its explicit target from the wrong place and keeps it for 20
steps: the surface crumples and its outlines stand still. Compared with the views' pixels it has no such memory, so the
fine stage does that. Its first edges are shorter than published, so that a thin leg has more than three around it, and
gradients are smoothed over less: at a thin part they are smoothed around to the other side, and cancel.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from attrs import validators


def _above(limit: float) -> Callable[..., None]:
    return validators.and_(validators.instance_of((int, float)), validators.gt(limit))


def _at_least(limit: float) -> Callable[..., None]:
    return validators.and_(validators.instance_of((int, float)), validators.ge(limit))


@attrs.frozen(kw_only=True)
class Stage:
    """One run of the optimiser. Lengths are in units of the bundle's world.

    ``steps``: how many. ``longest_edge``, ``shortest_edge``: the target edge length at the start and at the end.
    ``learning_rate``: the part of an edge length that a vertex moves in a step when its gradient is steady.
    ``decay``: of the learning rate, per step. ``ramp``: steps until the learning rate is reached.
    ``laplacian``: the part of the way to the mean of its neighbours that a vertex goes in each step;
    ``opening_laplacian``: the same, in addition, fading over the ramp: a noisy start is evened out before it is fitted;
    ``unseen_laplacian``: the same, where no view has a target; ``seen_pixels``: as many make a vertex seen in full.
    ``reach``: gradients are smoothed over about the root
    of so many edges before they are followed, so that a step moves regions and does not crumple the surface.
    ``expansion``: pushes vertices outwards, in edge lengths per step at the learning rate; fades over the stage.
    ``explicit_targets``: compare with each vertex's own target normal, gathered from the views, instead of with the
    views' pixels.
    """

    steps: int = attrs.field(validator=_at_least(0))
    longest_edge: float = attrs.field(validator=_above(0))
    shortest_edge: float = attrs.field(validator=_above(0))
    learning_rate: float = attrs.field(default=0.6, validator=_above(0))
    decay: float = attrs.field(default=0.99, validator=_above(0))
    ramp: int = attrs.field(default=5, validator=_at_least(0))
    laplacian: float = attrs.field(default=0.02, validator=_at_least(0))
    opening_laplacian: float = attrs.field(default=0.3, validator=_at_least(0))
    unseen_laplacian: float = attrs.field(default=0.05, validator=_at_least(0))
    reach: float = attrs.field(default=20.0, validator=_at_least(0))
    expansion: float = attrs.field(default=0.0, validator=_at_least(0))
    explicit_targets: bool = True
    seen_pixels: float = attrs.field(default=3.0, validator=_above(0))

    def __attrs_post_init__(self) -> None:
        if self.shortest_edge > self.longest_edge:
            raise ValueError(
                f"the shortest edge, {self.shortest_edge}, is longer than the longest, {self.longest_edge}"
            )


@attrs.frozen(kw_only=True)
class RefineSettings:
    """A whole refinement.

    ``rough``: the stage from a ball or a hull; ``fine``: the stage that follows it, or starts from a coarse mesh.
    ``view_weights``: of the normals of each view. ``refresh_until``, ``refresh_every``: explicit targets are gathered
    in the first steps, and then every so many. ``silhouette``, ``silhouette_inside``: weights of the silhouette loss,
    and of the same loss inside the views' silhouettes only. ``box``: half the side of the cube that the mesh stays in,
    or of the one that it starts in when that is larger; ``box_weight``: how strongly. ``most_faces``: the shortest edge
    grows so that the mesh has about so many triangles at the end. ``mesh_every``: steps between two meshes that are
    shown.
    """

    rough: Stage = Stage(
        steps=100, longest_edge=0.1, shortest_edge=0.02, expansion=0.1, laplacian=0.02, explicit_targets=False
    )
    fine: Stage = Stage(
        steps=60,
        longest_edge=0.015,
        shortest_edge=0.005,
        learning_rate=1.0,
        laplacian=0.03,
        reach=10.0,
        unseen_laplacian=0.15,
        explicit_targets=False,
    )
    view_weights: tuple[float, ...] = (1.0, 0.9, 1.0, 0.9)
    refresh_until: int = attrs.field(default=5, validator=_at_least(1))
    refresh_every: int = attrs.field(default=20, validator=_at_least(1))
    silhouette: float = attrs.field(default=6.0, validator=_at_least(0))
    silhouette_inside: float = attrs.field(default=1.8, validator=_at_least(0))
    box: float = attrs.field(default=1.0, validator=_above(0))
    box_weight: float = attrs.field(default=10.0, validator=_at_least(0))
    most_faces: int = attrs.field(default=60_000, validator=_at_least(100))
    mesh_every: int = attrs.field(default=10, validator=_at_least(1))


QUALITY = RefineSettings(
    rough=attrs.evolve(RefineSettings().rough, steps=150),
    fine=attrs.evolve(RefineSettings().fine, steps=100),
    most_faces=150_000,
)
FAST = RefineSettings()
DRAFT = RefineSettings(
    rough=attrs.evolve(RefineSettings().rough, steps=50, shortest_edge=0.03),
    # Steps are measured in edges: at these long ones the full rate leaves the surface rough.
    fine=attrs.evolve(RefineSettings().fine, steps=30, longest_edge=0.03, shortest_edge=0.01, learning_rate=0.6),
    most_faces=20_000,
)
PRESETS: dict[str, RefineSettings] = {"draft": DRAFT, "fast": FAST, "quality": QUALITY}
