"""Lids for holes."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.cleanup.soup import Soup
from kiss3d_backend.mesh.edges import find_edges


@attrs.frozen(eq=False)
class Lids:
    """``soup``: with the lids. ``filled``, ``open``: holes that were closed, and that were too large."""

    soup: Soup
    filled: int
    open: int


def fill_holes(soup: Soup, longest: float) -> Lids:
    """Closes every hole whose border is at most ``longest``: a fan around its middle, or one face for three edges.

    Needs faces that agree on their sides, and at each vertex at most one border (as after ``split_apart``).
    """
    opposite = find_edges(soup.triangles, len(soup.positions)).opposite.ravel()
    border = np.flatnonzero(opposite < 0)
    starts = soup.triangles.ravel()[border]
    ends = soup.triangles[:, [1, 2, 0]].ravel()[border]
    positions, faces = [soup.positions], [soup.triangles]
    vertices, filled, too_large = len(soup.positions), 0, 0
    for loop in _loops(starts, ends):
        ring = soup.positions[loop].astype(np.float64)
        lengths = np.linalg.norm(np.roll(ring, -1, axis=0) - ring, axis=1)
        if lengths.sum() > longest:
            too_large += 1
            continue
        filled += 1
        following = np.roll(loop, -1)
        if len(loop) == 3:
            faces.append(loop[::-1].reshape(1, 3))
            continue
        # The middle of the border's line, not of its vertices, which may crowd on one side.
        weight = lengths + np.roll(lengths, 1)
        middle = (ring * weight[:, None]).sum(axis=0) / max(float(weight.sum()), 1e-30)
        positions.append(middle.astype(np.float32).reshape(1, 3))
        faces.append(np.stack([following, loop, np.full(len(loop), vertices)], axis=1))
        vertices += 1
    return Lids(Soup(np.concatenate(positions), np.concatenate(faces).astype(np.int32)), filled, too_large)


def _loops(starts: NDArray[np.int32], ends: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """The closed ways along border sides, each in their direction."""
    following = dict(zip(starts.tolist(), ends.tolist(), strict=True))
    loops = []
    while following:
        first, here = following.popitem()
        loop = [first]
        while here != first and here in following:
            loop.append(here)
            here = following.pop(here)
        if here == first and len(loop) > 2:
            loops.append(np.array(loop, dtype=np.int32))
    return loops
