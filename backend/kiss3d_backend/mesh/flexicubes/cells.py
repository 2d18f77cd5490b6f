"""Which cells the surface passes through, and how."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from kiss3d_backend.mesh.flexicubes.grid import cell_corners
from kiss3d_backend.mesh.flexicubes.tables import CONFIGURATIONS, CORNERS, NEIGHBOUR_TO_ASK


@attrs.frozen(eq=False)
class SurfaceCells:
    """The cells whose corners are not all of one sign, in lexicographic order.

    ``cells``: (M,) int64, their numbers in the grid. ``corners``: (M, 8) int64, vertices. ``configurations``: (M,)
    int64, bit i is set when corner i has a negative value; inverted where two ambiguous cells meet.
    """

    cells: Tensor
    corners: Tensor
    configurations: Tensor


def find_surface_cells(values: Tensor, resolution: int) -> SurfaceCells:
    """The surface cells of a field ((resolution + 1)**3,) of any floating dtype; zero counts as positive."""
    side = resolution + 1
    negative = (values.detach() < 0).reshape(side, side, side)
    code = torch.zeros((resolution,) * 3, dtype=torch.uint8, device=values.device)
    for corner, (x, y, z) in enumerate(CORNERS.tolist()):
        shifted = negative[x : x + resolution, y : y + resolution, z : z + resolution]
        code |= shifted.to(torch.uint8) << corner
    cells = torch.nonzero((code.ravel() > 0) & (code.ravel() < CONFIGURATIONS - 1))[:, 0]
    return SurfaceCells(cells, cell_corners(cells, resolution), _resolved(code, cells, resolution))


def _resolved(code: Tensor, cells: Tensor, resolution: int) -> Tensor:
    """Configurations (M,) int64, with those inverted whose neighbour behind the ambiguous face is ambiguous too."""
    configurations = code.ravel()[cells].long()
    ask = torch.tensor(NEIGHBOUR_TO_ASK, device=cells.device)
    step = ask[configurations]
    place = torch.stack([cells // resolution**2, cells // resolution % resolution, cells % resolution], dim=1) + step
    ambiguous = step.any(dim=1) & (place >= 0).all(dim=1) & (place < resolution).all(dim=1)
    x, y, z = place[ambiguous].unbind(dim=1)
    # The face's signs alternate for both cells, and an ambiguous cell has one such face: it is the same one.
    shared = ask[code[x, y, z].long()].any(dim=1)
    inverted = torch.zeros_like(ambiguous)
    inverted[ambiguous] = shared
    return torch.where(inverted, CONFIGURATIONS - 1 - configurations, configurations)
