"""The surface: one vertex for each patch in a cell, one quad for each cut edge of the grid."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from kiss3d_backend.mesh.flexicubes.cells import SurfaceCells, find_surface_cells
from kiss3d_backend.mesh.flexicubes.tables import DUAL_VERTICES, EDGES, LOOP_OF_EDGE, MOST_DUAL_VERTICES
from kiss3d_backend.mesh.flexicubes.weights import CellWeights, cell_weights, even_weights

_CELLS_AT_ONCE = 1 << 16


@attrs.frozen(eq=False)
class Surface:
    """``vertices``: (V, 3), of the dtype of the positions. ``faces``: (F, 3) int64, counter-clockwise as seen from the
    side where the field is positive.

    Vertices come in the published order: first those of cells with one vertex, then of cells with two and so on, each
    in lexicographic order of the cells. Faces come in pairs, one quad after the other: first the quads whose edge
    begins at a positive value, then the others, each in the order of the edges' ends.
    """

    vertices: Tensor
    faces: Tensor


def flexicubes(positions: Tensor, values: Tensor, resolution: int, weights: Tensor | None = None) -> Surface:
    """The zero level set of a field on a deformed grid of ``resolution``**3 cells.

    ``positions``: ((resolution + 1)**3, 3) and ``values``: ((resolution + 1)**3,), in the order of
    :func:`~kiss3d_backend.mesh.flexicubes.grid.grid_positions`. ``weights``: (resolution**3, 21) unbounded numbers as
    for :func:`~kiss3d_backend.mesh.flexicubes.weights.cell_weights`, or None for even ones. The vertices can be
    differentiated with respect to all three.
    """
    cells = find_surface_cells(values, resolution)
    count, device = len(cells.cells), values.device
    used = even_weights(count, device) if weights is None else cell_weights(weights[cells.cells])
    return extract_surface(positions, values, cells, used)


def extract_surface(positions: Tensor, values: Tensor, cells: SurfaceCells, weights: CellWeights) -> Surface:
    """The surface in the cells that :func:`find_surface_cells` found; only their corners' positions matter.

    ``weights``: of these cells, in their order. Memory grows with the number of surface cells alone; results do not
    depend on the order of additions on any device.
    """
    device = positions.device
    loops = torch.tensor(LOOP_OF_EDGE, device=device)[cells.configurations]
    count = torch.tensor(DUAL_VERTICES, device=device)[cells.configurations]
    by_count = torch.argsort(count, stable=True)
    first = torch.empty_like(count)
    first[by_count] = torch.cumsum(count[by_count], dim=0) - count[by_count]
    points = _dual_vertices(positions, values, cells, weights, loops)
    there = torch.arange(MOST_DUAL_VERTICES, device=device) < count[:, None]
    vertices = points[by_count][there[by_count]]
    faces = _faces(values, cells, loops, first, weights.gamma.detach())
    return Surface(vertices, faces)


def _dual_vertices(
    positions: Tensor, values: Tensor, cells: SurfaceCells, weights: CellWeights, loops: Tensor
) -> Tensor:
    """(M, 4, 3); what a cell has fewer is zero."""
    parts = []
    for start in range(0, len(cells.cells), _CELLS_AT_ONCE):
        end = min(start + _CELLS_AT_ONCE, len(cells.cells))
        parts.append(
            _in_some_cells(positions, values, cells.corners[start:end], weights.rows(start, end), loops[start:end])
        )
    return torch.cat(parts) if parts else positions.new_zeros((0, MOST_DUAL_VERTICES, 3))


def _in_some_cells(positions: Tensor, values: Tensor, corners: Tensor, weights: CellWeights, loops: Tensor) -> Tensor:
    start, end = torch.tensor(EDGES, device=corners.device).unbind(dim=1)
    level = values[corners] * weights.alpha
    low, high = level[:, start], level[:, end]
    cut = loops >= 0
    span = torch.where(cut, high - low, 1.0)[..., None]
    crossing = (positions[corners[:, start]] * high[..., None] - positions[corners[:, end]] * low[..., None]) / span
    found = []
    for number in range(MOST_DUAL_VERTICES):
        beta = torch.where(loops == number, weights.beta, 0.0)
        total = beta.sum(dim=1, keepdim=True)
        share = beta / torch.where(total > 0, total, 1.0)
        found.append((share[..., None] * torch.where(cut[..., None], crossing, 0.0)).sum(dim=1))
    return torch.stack(found, dim=1)


def _faces(values: Tensor, cells: SurfaceCells, loops: Tensor, first: Tensor, gamma: Tensor) -> Tensor:
    """(F, 3): the quads around the cut edges that lie in four cells, split in two."""
    cell, edge = torch.nonzero(loops >= 0, as_tuple=True)
    start, end = torch.tensor(EDGES, device=cell.device)[edge].unbind(dim=1)
    start, end = cells.corners[cell, start], cells.corners[cell, end]
    vertex = first[cell] + loops[cell, edge]
    # Edges are numbered by their ends; one that begins at a vertex leads along -y, +z or +x, in this order of ends.
    step = end - start
    number = start * 3 + torch.where(step < 0, 0, torch.where(step == 1, 1, 2))
    number, order = torch.sort(number, stable=True)
    _, cells_around = torch.unique_consecutive(number, return_counts=True)
    whole = order[torch.repeat_interleave(cells_around, cells_around) == 4].reshape(-1, 4)
    quads = vertex[whole]
    opens_positive = values.detach()[start[whole[:, 0]]] >= 0
    # The four cells are in lexicographic order: the third and fourth are swapped to walk around the edge.
    quads = torch.cat([quads[opens_positive][:, [0, 1, 3, 2]], quads[~opens_positive][:, [2, 3, 1, 0]]])
    cells_of = torch.cat([cell[whole][opens_positive][:, [0, 1, 3, 2]], cell[whole][~opens_positive][:, [2, 3, 1, 0]]])
    split = gamma[cells_of]
    along_02 = split[:, 0] * split[:, 2] > split[:, 1] * split[:, 3]
    return torch.where(along_02[:, None], quads[:, [0, 1, 2, 0, 2, 3]], quads[:, [0, 1, 3, 3, 1, 2]]).reshape(-1, 3)
