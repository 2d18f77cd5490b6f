"""From the field to a mesh: the LRM's own use of FlexiCubes."""

from __future__ import annotations

import attrs
import numpy as np
import torch
from torch import Tensor

from kiss3d_backend.mesh.camera import from_lrm_frame
from kiss3d_backend.mesh.flexicubes.cells import find_surface_cells
from kiss3d_backend.mesh.flexicubes.grid import grid_positions
from kiss3d_backend.mesh.flexicubes.surface import extract_surface
from kiss3d_backend.mesh.flexicubes.weights import cell_weights
from kiss3d_backend.mesh.types import Mesh
from kiss3d_backend.networks.lrm.field import TriplaneField

GRID_RESOLUTION = 128
GRID_SCALE = 2.1
FEWEST_CELLS = 8
"""Along an edge; fewer would leave nothing between the borders that :func:`with_a_surface` may set."""

_DEFORMATION_DIVISOR = 4.0


@attrs.frozen(eq=False)
class LrmSurface:
    """In the LRM's frame, z up. ``vertices``: (V, 3) float32. ``faces``: (F, 3) int64, counter-clockwise from outside.
    ``colours``: (V, 3) float32, sRGB in [0, 1].
    """

    vertices: Tensor
    faces: Tensor
    colours: Tensor


def extract_mesh(field: TriplaneField, resolution: int = GRID_RESOLUTION) -> LrmSurface:
    """The surface of a field on a grid of ``resolution``**3 cells (at least 8**3), as the published system makes it.

    There always is one, see :func:`with_a_surface`; it is open where it meets the border of the grid.
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
    return LrmSurface(surface.vertices, surface.faces.flip(1), field.colours(surface.vertices).clamp(0, 1))


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


def in_bundle_world(surface: LrmSurface) -> Mesh:
    """The surface as a mesh with vertex colours, y up, in the world of the bundle cameras."""
    colours = (surface.colours * 255).round().to(torch.uint8).cpu().numpy()
    opaque = np.full((len(colours), 1), 255, dtype=np.uint8)
    return Mesh(
        from_lrm_frame(surface.vertices.cpu().numpy()),
        surface.faces.cpu().numpy().astype(np.int32),
        colours=np.concatenate([colours, opaque], axis=1),
    )
