"""The field of an LRM at many points, in pieces that fit a given amount of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from kiss3d_backend.mesh.flexicubes.weights import WEIGHTS
from kiss3d_backend.networks.lrm.decoder import sample_planes
from kiss3d_backend.networks.lrm.model import Lrm

DEFAULT_MEMORY = 64 * 2**20
"""Bytes; some 50 milliseconds of work on two cores."""


def points_at_once(channels: int, memory: int = DEFAULT_MEMORY) -> int:
    """How many points fit into ``memory`` bytes, for planes of so many channels."""
    # Features are held twice, as sampled and side by side; what the perceptrons add is less than once more.
    return max(memory // (3 * 3 * channels * 4), 1)


class TriplaneField:
    """One object's triplanes with the decoder that reads them, in float32 whatever the transformers' dtype.

    ``planes``: (1, 3, channels, S, S) or (3, channels, S, S). ``memory``: bytes that temporary arrays may take.
    ``check``: called before each piece of work; what it raises ends the work.
    """

    def __init__(
        self, model: Lrm, planes: Tensor, memory: int = DEFAULT_MEMORY, check: Callable[[], None] | None = None
    ) -> None:
        self._decoder = model.synthesizer.decoder
        self._planes = planes.flatten(0, -4).float() if planes.dim() == 5 else planes.float()
        self._memory = memory
        self._check = check

    @property
    def device(self) -> torch.device:
        return self._planes.device

    def values(self, points: Tensor) -> Tensor:
        """(N,): the field at points (N, 3) of the LRM's frame; positive inside."""
        return self._at_points(points, self._decoder.field)

    def deformations(self, points: Tensor) -> Tensor:
        """(N, 3): how grid vertices at points (N, 3) move, unbounded."""
        return self._at_points(points, self._decoder.deformation)

    def colours(self, points: Tensor) -> Tensor:
        """(N, 3): sRGB at points (N, 3), in [-.001, 1.001]."""
        return self._at_points(points, self._decoder.colours)

    def weights(self, points: Tensor, corners: Tensor) -> Tensor:
        """(M, 21): unbounded FlexiCubes weights of cells.

        ``points``: (N, 3), the grid's vertices before they move. ``corners``: (M, 8), which of them a cell has.
        """
        found = []
        for part in self._pieces(corners, 8):
            used, index = torch.unique(part, return_inverse=True)
            found.append(self._decoder.weights(sample_planes(self._planes, points[used])[index]))
        return torch.cat(found) if found else points.new_zeros((0, WEIGHTS))

    def _at_points(self, points: Tensor, read: Callable[[Tensor], Tensor]) -> Tensor:
        found = [read(sample_planes(self._planes, part)) for part in self._pieces(points, 1)]
        return torch.cat(found) if found else read(points.new_zeros((0, 3 * self._planes.shape[1])))

    def _pieces(self, rows: Tensor, points_each: int) -> Iterator[Tensor]:
        for part in rows.split(max(points_at_once(self._planes.shape[1], self._memory) // points_each, 1)):
            if self._check is not None:
                self._check()
            yield part
