"""The weights of FlexiCubes, from what a network says to what the surface is made with."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

WEIGHTS = 12 + 8 + 1
WEIGHT_SCALE = 0.5
"""How far the weights may be from even ones; the published LRM was trained with this."""


@attrs.frozen(eq=False)
class CellWeights:
    """``beta``: (M, 12), of the edges. ``alpha``: (M, 8), of the corners. ``gamma``: (M,), of the cells. Above zero."""

    beta: Tensor
    alpha: Tensor
    gamma: Tensor

    def rows(self, start: int, end: int) -> CellWeights:
        """Those of the cells from ``start`` to ``end``."""
        return CellWeights(self.beta[start:end], self.alpha[start:end], self.gamma[start:end])


def cell_weights(raw: Tensor, scale: float = WEIGHT_SCALE) -> CellWeights:
    """From unbounded numbers (M, 21): 12 beta in the order of the edges, 8 alpha in that of the corners, gamma.

    alpha and beta become 1 + scale tanh(w), gamma becomes scale sigmoid(w) + (1 - scale) / 2 (arXiv 2308.05371, 4.2).
    """
    beta, alpha, gamma = raw.split([12, 8, 1], dim=1)
    return CellWeights(
        torch.tanh(beta) * scale + 1,
        torch.tanh(alpha) * scale + 1,
        torch.sigmoid(gamma[:, 0]) * scale + (1 - scale) / 2,
    )


def even_weights(cells: int, device: torch.device | str = "cpu") -> CellWeights:
    """Ones: plain Dual Marching Cubes with the mean of the crossings as its vertices."""
    return CellWeights(*(torch.ones(shape, device=device) for shape in ((cells, 12), (cells, 8), (cells,))))
