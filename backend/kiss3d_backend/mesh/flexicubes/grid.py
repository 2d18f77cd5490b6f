"""The regular grid of FlexiCubes: its vertices and cells in lexicographic order, x slowest."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kiss3d_backend.mesh.flexicubes.tables import CORNERS


def grid_positions(resolution: int, scale: float = 1.0, device: torch.device | str = "cpu") -> Tensor:
    """((resolution + 1)**3, 3) float32: the vertices of a cube of side ``scale`` about the origin.

    Coordinates are rounded to five decimals before they are scaled, as they were when the published weights were
    trained (the definition merges equal corners of neighbouring cells that way).
    """
    axis = torch.arange(resolution + 1, dtype=torch.float32, device=device) / resolution
    axis = (torch.round(axis * 1e5) / 1e5 - 0.5) * scale
    return torch.cartesian_prod(axis, axis, axis)


def cell_corners(cells: Tensor, resolution: int) -> Tensor:
    """(M, 8) int64: the vertices at the corners of cells (M,) that are given by their number."""
    side = resolution + 1
    # In numpy: CUDA has no product of matrices of integers.
    steps = torch.tensor(CORNERS @ np.array((side * side, side, 1)), device=cells.device)
    x, y, z = cells // resolution**2, cells // resolution % resolution, cells % resolution
    return ((x * side + y) * side + z)[:, None] + steps
