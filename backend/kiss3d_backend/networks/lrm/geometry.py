"""From the field to a surface and its colours: the LRM's own use of FlexiCubes."""

from __future__ import annotations

import torch
from torch import Tensor

from kiss3d_backend.mesh.flexicubes.cells import find_surface_cells
from kiss3d_backend.mesh.flexicubes.grid import grid_positions
from kiss3d_backend.mesh.flexicubes.surface import Surface, extract_surface
from kiss3d_backend.mesh.flexicubes.weights import cell_weights
from kiss3d_backend.networks.lrm.field import TriplaneField

GRID_RESOLUTION = 128
GRID_SCALE = 2.1
FEWEST_CELLS = 8
"""Along an edge; fewer would leave nothing between the borders that :func:`with_a_surface` may set."""

_DEFORMATION_DIVISOR = 4.0


def extract_mesh(field: TriplaneField, resolution: int = GRID_RESOLUTION) -> Surface:
    """The surface of a field on a grid of ``resolution``**3 cells (at least 8**3), as the published system makes it.

    In the LRM's frame, z up; faces are counter-clockwise as seen from outside. There always is a surface, see
    :func:`with_a_surface`; it is open where it meets the border of the grid.
    """
    if resolution < FEWEST_CELLS:
        raise ValueError(f"a grid needs at least {FEWEST_CELLS} cells along an edge, not {resolution}")
    grid = grid_positions(resolution, GRID_SCALE, field.device)
    values = with_a_surface(field.values(grid), resolution)
    cells = find_surface_cells(values, resolution)
    weights = cell_weights(field.weights(grid, cells.corners))
    used = torch.unique(cells.corners)
    positions = grid.clone()
    positions[used] += bounded(field.deformations(grid[used]), resolution)
    surface = extract_surface(positions, values, cells, weights)
    # FlexiCubes turns faces towards positive values, which are inside here.
    return Surface(surface.vertices, surface.faces.flip(1))


def vertex_colours(field: TriplaneField, vertices: Tensor) -> Tensor:
    """(V, 4) uint8, sRGB and opaque, at points (V, 3) of the LRM's frame."""
    colours = (field.colours(vertices).clamp(0, 1) * 255).round().to(torch.uint8)
    return torch.cat([colours, torch.full_like(colours[:, :1], 255)], dim=1)


def bounded(deformations: Tensor, resolution: int) -> Tensor:
    """Deformations of any size brought below a quarter of (1 / resolution), so that no cell turns over."""
    return torch.tanh(deformations) / (_DEFORMATION_DIVISOR * resolution)


def with_a_surface(values: Tensor, resolution: int) -> Tensor:
    """The field ((resolution + 1)**3,), changed where it would have no surface.

    When the values inside, without the outermost layer, lack one of the signs, the centre becomes positive and the
    two outermost layers negative: 1 - least and -1 - greatest value, as in the published system. Where such a number
    would have the wrong sign (a field that stays beyond 1 or -1), it is 1 or -1. The centre is one step above the
    middle on each axis.
    """
    side = resolution + 1
    field = values.reshape(side, side, side)
    inside = field[1:-1, 1:-1, 1:-1]
    if (inside > 0).any() and (inside < 0).any():
        return values
    above, below = 1 - values.min(), -1 - values.max()
    border = torch.ones_like(field, dtype=torch.bool)
    border[2:-2, 2:-2, 2:-2] = False
    rescued = torch.where(border, torch.where(below < 0, below, -1.0), field)
    middle = resolution // 2 + 1
    rescued[middle, middle, middle] = torch.where(above > 0, above, 1.0)
    return rescued.ravel()
