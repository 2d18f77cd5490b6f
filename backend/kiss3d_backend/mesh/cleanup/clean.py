"""The clean-up, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import numpy as np
from numpy.typing import NDArray

from kiss3d_backend.mesh.cleanup.faces import flip_flat, is_flat, without_collapsed, without_duplicates
from kiss3d_backend.mesh.cleanup.holes import fill_holes
from kiss3d_backend.mesh.cleanup.manifold import split_apart
from kiss3d_backend.mesh.cleanup.orient import orient
from kiss3d_backend.mesh.cleanup.parts import without_small_parts
from kiss3d_backend.mesh.cleanup.smooth import smooth
from kiss3d_backend.mesh.cleanup.soup import Soup
from kiss3d_backend.mesh.cleanup.weld import collapse_short_edges, weld
from kiss3d_backend.mesh.edges import is_closed
from kiss3d_protocol.errors import MeshEmpty

_ROUNDS = 4


@attrs.frozen
class CleanUp:
    """``smallest_part``: connected parts with less than this share of the surface go. ``largest_hole``: holes with a
    border of up to this many times the diagonal of the bounding box are filled; None for all. ``shortest_edge``: in
    diagonals; shorter ones collapse. ``smoothing``: rounds.
    """

    smallest_part: float = 0.002
    largest_hole: float | None = None
    shortest_edge: float = 1e-6
    smoothing: int = 0


@attrs.frozen(eq=False)
class Cleaned:
    """``positions``: (V, 3) float32, no two alike, all used. ``triangles``: (T, 3) int32, counter-clockwise from
    outside. ``dropped_parts``, ``filled_holes``, ``open_holes``: counts; no open hole is left unless the settings say
    so. ``closed``: two faces at every edge, which agree on the side, and one fan of faces at every vertex.
    """

    positions: NDArray[np.float32]
    triangles: NDArray[np.int32]
    dropped_parts: int
    filled_holes: int
    open_holes: int
    closed: bool


def clean(
    positions: NDArray[np.float32],
    triangles: NDArray[np.int32],
    settings: CleanUp | None = None,
    *,
    check: Callable[[], None] | None = None,
) -> Cleaned:
    """Makes a mesh that holds water: no degenerate or duplicate faces, manifold, closed, facing outwards.

    ``positions``: (V, 3); ``triangles``: (T, 3), of any orientation, welded or not. Faces at positions that are not
    finite go. A mesh that is clean already comes out as it was, but for the order of its vertices. ``check``: called
    between the steps; what it raises ends the work.
    Raises :class:`MeshEmpty` when nothing with a volume is left.
    """
    settings = CleanUp() if settings is None else settings
    check = check or (lambda: None)
    whole = Soup(np.asarray(positions, np.float32), np.asarray(triangles, np.int32))
    finite = np.isfinite(whole.positions[whole.triangles].sum(axis=(1, 2), dtype=np.float64))
    soup = weld(whole.keep(finite).compact())
    diagonal = float(np.linalg.norm(np.ptp(soup.positions, axis=0))) if len(soup.positions) else 0.0
    longest = math.inf if settings.largest_hole is None else settings.largest_hole * diagonal
    dropped = filled = still_open = 0
    for _ in range(_ROUNDS):
        soup = without_duplicates(without_collapsed(collapse_short_edges(soup, settings.shortest_edge * diagonal)))
        check()
        soup = flip_flat(orient(soup))
        check()
        soup = orient(split_apart(soup))
        check()
        soup, gone = without_small_parts(soup, settings.smallest_part)
        lids = fill_holes(soup, longest)
        check()
        dropped, filled, still_open = dropped + gone, filled + lids.filled, lids.open
        soup = weld(orient(lids.soup))
        check()
        if _is_clean(soup, still_open > 0):
            break
    if len(soup.triangles) < 4:
        raise MeshEmpty("Nothing with a volume is left of the mesh after its clean-up.")
    if settings.smoothing > 0:
        soup = Soup(smooth(soup.positions, soup.triangles, settings.smoothing), soup.triangles)
    return Cleaned(
        soup.positions, soup.triangles, dropped, filled, still_open, is_closed(soup.triangles, len(soup.positions))
    )


def _is_clean(soup: Soup, may_be_open: bool) -> bool:
    if len(soup.triangles) == 0 or is_flat(soup).any():
        return False
    split = split_apart(soup)
    whole = len(split.positions) == len(soup.positions)
    return whole and (may_be_open or is_closed(soup.triangles, len(soup.positions)))
