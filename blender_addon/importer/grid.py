"""Where results stand that share a file: on a grid (no bpy)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise


def grid(
    extents: Sequence[tuple[float, float]], gap: float, columns: int | None = None, left: float | None = None
) -> list[tuple[float, float]]:
    """The middle (x, y) of each place, in the order of ``extents``, which are (width, depth) in scene units.

    Places go to the right (+X), rows to the back (+Y), so that the first ones stand in front. A column is as wide as
    its widest, a row as deep as its deepest, with ``gap`` between them. ``columns``: None for about as many as rows.
    ``left``: where the left edge of the first column is; None puts the first place on the origin.
    """
    if not extents:
        return []
    columns = min(columns or math.ceil(math.sqrt(len(extents))), len(extents))
    widths = [max(width for width, _ in extents[column::columns]) for column in range(columns)]
    starts = range(0, len(extents), columns)
    depths = [max(depth for _, depth in extents[start : start + columns]) for start in starts]
    first = 0.0 if left is None else left + widths[0] / 2
    across, back = _middles(widths, gap, first), _middles(depths, gap, 0.0)
    return [(across[index % columns], back[index // columns]) for index in range(len(extents))]


def _middles(lengths: Sequence[float], gap: float, first: float) -> list[float]:
    steps = [(before + after) / 2 + gap for before, after in pairwise(lengths)]
    return list(accumulate(steps, initial=first))
