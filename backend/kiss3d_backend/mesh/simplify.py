"""Fewer faces, and chains of ever fewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import attrs
import fast_simplification
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.cleanup import CleanUp, clean
from kiss3d_backend.mesh.edges import is_closed
from kiss3d_protocol.errors import MeshEmpty

TOLERANCE = 0.02
"""The share by which the number of faces may miss what was asked for."""

_TRIES = 5
_REPAIR = CleanUp(smallest_part=0.0)


@attrs.frozen(eq=False)
class Simplified:
    """``positions``: (V, 3) float32; ``triangles``: (T, 3) int32. ``asked``: the number of faces that was asked for.
    ``repaired``: the result was no longer closed, and was cleaned up.
    """

    positions: NDArray[np.float32]
    triangles: NDArray[np.int32]
    asked: int
    repaired: bool

    @property
    def on_target(self) -> bool:
        """Whether the faces are within :data:`TOLERANCE` of what was asked for, or fewer because the mesh had fewer."""
        return abs(len(self.triangles) - self.asked) <= TOLERANCE * self.asked


def simplify(
    positions: NDArray[np.float32],
    triangles: NDArray[np.int32],
    faces: int,
    *,
    check: Callable[[], None] = lambda: None,
) -> Simplified:
    """Decimates a mesh to about ``faces`` faces by quadric edge collapse (fast-simplification, MIT; Garland and
    Heckbert, 1997). A closed mesh stays closed. A mesh with no more faces than that comes back as it is.

    ``positions``: (V, 3); ``triangles``: (T, 3). ``check``: called between the steps; what it raises comes out of here.
    Raises ValueError for fewer than four faces. Look at
    ``Simplified.on_target``: a mesh of many parts or holes cannot always get that small.
    """
    if faces < 4:
        raise ValueError(f"a closed mesh has at least 4 faces, not {faces}")
    if len(triangles) <= faces:
        return Simplified(positions, triangles, max(faces, 4), False)
    was_closed = is_closed(triangles, len(positions))
    best = Simplified(positions, triangles, faces, False)
    aim = faces
    for _ in range(_TRIES):
        check()
        try:
            result = _collapse(positions, triangles, aim, faces, was_closed, check)
        except MeshEmpty:  # so few faces that parts went flat
            aim = (aim + len(triangles)) // 2
            continue
        if abs(len(result.triangles) - faces) < abs(len(best.triangles) - faces):
            best = result
        if result.on_target:
            break
        # The library stops a little off, and repairs add faces: aim beside the mark by as much.
        aim = min(max(4, aim + faces - len(result.triangles)), len(triangles))
    return best


def lod_chain(positions: NDArray[np.float32], triangles: NDArray[np.int32], counts: Sequence[int]) -> list[Simplified]:
    """One mesh for each number of faces, which must fall; each is made from the one before."""
    if any(later >= earlier for earlier, later in pairwise(counts)):
        raise ValueError("the levels of detail must have ever fewer faces")
    chain: list[Simplified] = []
    for count in counts:
        chain.append(simplify(positions, triangles, count))
        positions, triangles = chain[-1].positions, chain[-1].triangles
    return chain


def _collapse(
    positions: NDArray[np.float32],
    triangles: NDArray[np.int32],
    aim: int,
    asked: int,
    was_closed: bool,
    check: Callable[[], None],
) -> Simplified:
    result = fast_simplification.simplify(
        np.ascontiguousarray(positions, dtype=np.float64),
        np.ascontiguousarray(triangles, dtype=np.int32),
        target_count=aim,
    )
    check()
    points, faces = result[0].astype(np.float32), result[1].astype(np.int32)
    if not was_closed:
        return Simplified(points, faces, asked, False)
    cleaned = clean(points, faces, _REPAIR, check=check)
    return Simplified(cleaned.positions, cleaned.triangles, asked, len(cleaned.triangles) != len(faces))
