"""A matte as a smooth level set on a grid: one connected region whose outline lies between the nodes."""

from __future__ import annotations

import attrs
import numpy as np
import scipy.ndimage as ndi
import scipy.special
from numpy.typing import NDArray

from kiss3d_backend.mesh.distance import distance_inside
from kiss3d_backend.mesh.regions import connected_regions, region_sizes
from kiss3d_backend.mesh.resample import resample

INSIDE = 0.5
"""The matte's value on the outline."""

_MARGIN_CELLS = 4
_SAMPLES_PER_CELL = 2
_THINNEST_HALF_WIDTH_CELLS = 1.0
_TIP_LENGTH = 4.0
_SMOOTHING_CELLS = 0.7
_SMALLEST_HOLE_NODES = 4
_FLATTEST = 1e-4


@attrs.frozen(eq=False)
class SilhouetteGrid:
    """A region on a grid.

    ``level``: (R, C) float32, above zero inside; next to the outline it is about proportional to the distance from
    it, farther away it levels off. The inside is one 4-connected region and does not touch the border.
    ``left``, ``top``: where node (0, 0) lies, in pixels of the matte (0 is the centre of the first pixel).
    ``step``: pixels of the matte from node to node.
    """

    level: NDArray[np.float32]
    left: float
    top: float
    step: float


def silhouette_grid(matte: NDArray[np.float32], cells: int) -> SilhouetteGrid:
    """Samples a matte so that the longer side of its object spans ``cells`` grid cells.

    ``matte``: (H, W) in [0, 1]; outside of it there is nothing. Parts narrower than two cells are widened to two, so
    that hair, wires and lines survive; sharp tips stay sharp. Only the largest connected part is kept, and holes
    of less than a few nodes are closed. Raises ValueError when no pixel reaches :data:`INSIDE`.
    """
    inside_rows = np.flatnonzero((matte >= INSIDE).any(axis=1))
    inside_columns = np.flatnonzero((matte >= INSIDE).any(axis=0))
    if len(inside_rows) == 0:
        raise ValueError("the matte is empty")
    height = inside_rows[-1] - inside_rows[0] + 1
    width = inside_columns[-1] - inside_columns[0] + 1
    step = max(height, width) / cells
    fine = step / _SAMPLES_PER_CELL
    margin = _MARGIN_CELLS * _SAMPLES_PER_CELL
    top = inside_rows[0] - 0.5 - margin * fine
    left = inside_columns[0] - 0.5 - margin * fine
    rows = top + fine * np.arange(int(np.ceil(height / fine)) + 2 * margin + 1)
    columns = left + fine * np.arange(int(np.ceil(width / fine)) + 2 * margin + 1)

    # A border of nothing, so that an object cut off by the picture's edge ends there.
    border = int(fine) + 2
    padded = np.pad(matte, border)
    rows, columns = rows + border, columns + border
    level = np.clip(resample(padded, rows, columns, "gaussian"), 0.0, 1.0)
    touched = _any_inside(padded, rows, columns, fine)
    level = _widen_thin_parts(level, touched, _THINNEST_HALF_WIDTH_CELLS * _SAMPLES_PER_CELL)
    level = np.asarray(ndi.gaussian_filter(level, _SMOOTHING_CELLS * _SAMPLES_PER_CELL))
    nodes = level[::_SAMPLES_PER_CELL, ::_SAMPLES_PER_CELL].astype(np.float32)
    return SilhouetteGrid(_as_distance(_one_region(nodes)), float(left), float(top), float(step))


def _any_inside(
    matte: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64], step: float
) -> NDArray[np.bool_]:
    """Whether any pixel around each sample is inside: lines thinner than a sample leave a trace here."""
    widest = ndi.maximum_filter(matte, size=2 * int(step / 2) + 1)
    row = np.clip(np.rint(rows), 0, matte.shape[0] - 1).astype(np.int64)
    column = np.clip(np.rint(columns), 0, matte.shape[1] - 1).astype(np.int64)
    return widest[row[:, None], column] >= INSIDE


def _widen_thin_parts(level: NDArray[np.float32], touched: NDArray[np.bool_], radius: float) -> NDArray[np.float32]:
    """Adds a stroke of half-width ``radius`` (in samples) along parts that a disc of that radius does not fit in."""
    core = distance_inside(level >= INSIDE) > radius
    if core.any():
        to_core = distance_inside(~core)
        thin = touched & (to_core > radius + 1.0)
    else:
        to_core = np.full(level.shape, np.inf)
        thin = touched
    labels, count = connected_regions(thin, diagonal=True)
    if count == 0:
        return level
    # The corners of any shape are too narrow for the disc as well; a long part is not a corner.
    length = ndi.maximum(to_core, labels, np.arange(1, count + 1))
    long_part = np.concatenate([[False], np.asarray(length) > (1.0 + _TIP_LENGTH) * radius])
    stroke = long_part[labels]
    if not stroke.any():
        return level
    to_stroke = distance_inside(~stroke)
    return np.maximum(level, np.clip(radius + 0.5 - to_stroke, 0.0, 1.0)).astype(np.float32)


def _as_distance(level: NDArray[np.float32]) -> NDArray[np.float32]:
    """A blurred step turned into a straight ramp, so that linear interpolation finds the outline exactly."""
    ramp = scipy.special.ndtri(np.clip(level.astype(np.float64), _FLATTEST, 1.0 - _FLATTEST))
    return ramp.astype(np.float32)


def _one_region(level: NDArray[np.float32]) -> NDArray[np.float32]:
    level[[0, -1], :] = 0.0
    level[:, [0, -1]] = 0.0
    labels, count = connected_regions(level > INSIDE)
    if count == 0:
        # Less than a node wide and short: a dot at its strongest place.
        row, column = np.unravel_index(np.argmax(level), level.shape)
        level[max(row, 1) : row + 2, max(column, 1) : column + 2] = 1.0
        labels, count = connected_regions(level > INSIDE)
    kept = labels == int(np.argmax(region_sizes(labels, count)))
    level = np.where(~kept & (level > INSIDE), INSIDE - 0.02, level).astype(np.float32)
    holes, count = connected_regions(~kept, diagonal=True)
    small = region_sizes(holes, count) < _SMALLEST_HOLE_NODES
    small[0] = False
    return np.where(small[holes], np.maximum(1.0 - level, INSIDE + 0.1), level).astype(np.float32)
