"""What an optimiser asks of a mesh, on tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _Take(torch.autograd.Function):
    """Rows by index. Torch's own gradient of it adds up whole rows, which is 10 times slower on a CPU."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.count = len(values)
        return values.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        return sum_at(index, gradients[0], ctx.count), None


def take(values: Tensor, index: Tensor) -> Tensor:
    """(I, C): the rows ``index`` (I,) int64 of ``values`` (V, C)."""
    taken = _Take.apply(values, index)
    assert isinstance(taken, Tensor)
    return taken


def sum_at(index: Tensor, values: Tensor, count: int) -> Tensor:
    """(count, C): the sums of the rows of ``values`` (I, C) that have the same ``index`` (I,) int64."""
    columns = values.T.contiguous()
    return torch.stack([column.new_zeros(count).scatter_add(0, index, column) for column in columns], dim=1)


def vertex_normals(positions: Tensor, triangles: Tensor) -> Tensor:
    """(V, 3), unit: the mean of the triangles' normals, weighted by area. Zero where there is no area.

    ``positions``: (V, 3); ``triangles``: (T, 3) int64.
    """
    corners = triangles.T.reshape(-1)
    a, b, c = take(positions, corners).view(3, -1, 3).unbind(0)
    facing = torch.linalg.cross(b - a, c - a)
    return torch.nn.functional.normalize(sum_at(corners, facing.repeat(3, 1), len(positions)), dim=1, eps=1e-20)


class Neighbours:
    """The neighbours of each vertex of a closed mesh of ``count`` vertices; ``triangles``: (T, 3) int64.

    Each vertex of a closed mesh starts one side towards each of its neighbours, so no list of edges is needed.
    """

    def __init__(self, triangles: Tensor, count: int) -> None:
        self._start = triangles.T.reshape(-1)
        self._end = triangles[:, [1, 2, 0]].T.reshape(-1)
        self._share = 1.0 / torch.bincount(self._start, minlength=count).clamp(min=1)

    def means(self, values: Tensor) -> Tensor:
        """(V, C): the mean of each vertex's neighbours."""
        return torch.stack([self._mean(column) for column in values.T.contiguous()], dim=1)

    def smoothed(self, values: Tensor, reach: float, rounds: int) -> Tensor:
        """(V, C): values with (1 + ``reach``) new - ``reach`` mean of new = old, nearly, after ``rounds`` of Jacobi.

        What is finer than the root of ``reach`` in edges is smoothed away.
        """
        columns = []
        for column in values.T.contiguous():
            new = column
            for _ in range(rounds):
                new = (column + reach * self._mean(new)) / (1 + reach)
            columns.append(new)
        return torch.stack(columns, dim=1)

    def _mean(self, column: Tensor) -> Tensor:
        taken = column.index_select(0, self._end)
        return torch.zeros_like(column).scatter_add_(0, self._start, taken) * self._share
