"""A cancel is answered within half a second, by every stage of the mesh engine, at the sizes that people use."""

from __future__ import annotations

import threading
import time
from functools import cache

import attrs
import numpy as np
import pytest
from tests.mesh.painted import painted
from tests.mesh.solids import solid
from tests.stages.context import stage_context

from kiss3d_backend.mesh.bundle.masks import foreground
from kiss3d_backend.mesh.bundle.normals import decode_normals, normals_to_world
from kiss3d_backend.mesh.bundle.render import render_bundle
from kiss3d_backend.mesh.camera import bundle_cameras
from kiss3d_backend.mesh.refine.settings import FAST
from kiss3d_backend.mesh.simplify import simplify
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.pipeline.stage import StageContext
from kiss3d_backend.pipeline.types import BundleViews
from kiss3d_backend.stages.finish_shape import FinishShape, ToFinish
from kiss3d_backend.stages.refine_shape import RefineShape, ToRefine
from kiss3d_backend.stages.start_shape import Start, StartShape
from kiss3d_backend.stages.texture_shape import TextureShape, ToTexture
from kiss3d_protocol.errors import JobCancelled

FACES = 60_000
LONGEST = 0.5
# Edges stay as long as they are: all steps are as large as the last ones of a whole refinement.
FULL_SIZE = attrs.evolve(FAST, fine=attrs.evolve(FAST.fine, steps=4, longest_edge=0.0061, shortest_edge=0.0061))


class Watched(threading.Event):
    """A job's cancel event that knows the longest time between two looks at it.

    In processor seconds of this process: they pass as fast on a busy machine as on a quiet one. With ``start_at``, that
    look starts a thread which cancels a moment later, whatever is going on then.
    """

    def __init__(self, start_at: int | None = None) -> None:
        super().__init__()
        self.longest = 0.0
        self.looks = 0
        self.cancelled_at = 0.0
        self._start_at = start_at
        self._last = time.process_time()

    def is_set(self) -> bool:
        now = time.process_time()
        self.longest = max(self.longest, now - self._last)
        self._last = now
        self.looks += 1
        if self.looks == self._start_at:
            threading.Timer(0.02, self._cancel).start()
        return super().is_set()

    def _cancel(self) -> None:
        self.cancelled_at = time.process_time()
        self.set()


@cache
def body() -> tuple[Mesh, BundleViews]:
    """About 60,000 triangles, and the views of them."""
    full = solid("character", 150)
    few = simplify(full.positions, full.triangles, FACES)
    mesh = Mesh(few.positions, few.triangles)
    tiles = render_bundle([painted(mesh)])
    seen = foreground(tiles.normals)
    normals = [
        normals_to_world(each, camera)
        for each, camera in zip(decode_normals(tiles.normals), bundle_cameras(), strict=True)
    ]
    return mesh, BundleViews(
        colours=tiles.colours, normals=np.stack(normals).astype(np.float32), masks=seen.mask, mattes=seen.matte
    )


def refine(context: StageContext) -> None:
    mesh, views = body()
    RefineShape(FULL_SIZE).run(ToRefine(views, mesh, "coarse", FULL_SIZE.most_faces), context)


def hull(context: StageContext) -> None:
    StartShape().run(Start(body()[1], None), context)


def finish(context: StageContext) -> None:
    mesh, views = body()
    FinishShape().run(ToFinish(mesh, FACES // 3, views), context)


def texture(context: StageContext, side: int = 2048) -> None:
    mesh, views = body()
    low = simplify(mesh.positions, mesh.triangles, FACES // 3)
    context.check_cancelled()
    TextureShape().run(ToTexture(views, mesh, Mesh(low.positions, low.triangles), side), context)


def large_texture(context: StageContext) -> None:
    texture(context, 4096)


STAGES = {"hull": hull, "refine": refine, "finish": finish, "texture": texture, "large texture": large_texture}


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Everything, once, with little: what Numba compiles it compiles for as long as it takes."""
    mesh, views = body()
    few = simplify(mesh.positions, mesh.triangles, 2000)
    coarse, context = Mesh(few.positions, few.triangles), stage_context()[0]
    short = attrs.evolve(FULL_SIZE, fine=attrs.evolve(FULL_SIZE.fine, steps=1, longest_edge=0.05, shortest_edge=0.05))
    RefineShape(short).run(ToRefine(views, coarse, "coarse", short.most_faces), context)
    TextureShape().run(ToTexture(views, mesh, coarse, 1024), context)


@pytest.mark.parametrize("name", STAGES)
def test_a_cancel_is_looked_for_all_the_time(name: str) -> None:
    watched = Watched()
    STAGES[name](stage_context(cancel=watched)[0])
    assert watched.looks >= 4
    assert watched.longest < LONGEST


# The texture's second look is in the unwrapping, which is a process of its own; the last ones are in the baking.
@pytest.mark.parametrize(("name", "look"), [("refine", 3), ("refine", 12), ("texture", 3), ("texture", 40)])
def test_a_cancel_from_another_thread_ends_the_stage_at_once(name: str, look: int) -> None:
    watched = Watched(start_at=look)
    with pytest.raises(JobCancelled):
        STAGES[name](stage_context(cancel=watched)[0])
    assert watched.cancelled_at > 0
    assert time.process_time() - watched.cancelled_at < LONGEST
