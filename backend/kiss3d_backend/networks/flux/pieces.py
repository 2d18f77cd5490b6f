"""Tensors under other names and in other cuts than their file's, looked up lazily."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs
import torch

from kiss3d_backend.networks.checkpoint import Tensors
from kiss3d_backend.networks.checkpoint.keys import Shape


@attrs.frozen
class Piece:
    """A part of the tensor ``key``: the ``rows`` of its first axis one after the other (all if None), as ``shape``.

    One range of rows, or all, is a view of the mapped file; several are copied.
    """

    key: str
    shape: Shape
    rows: tuple[tuple[int, int], ...] | None = None


class Pieces(Mapping[str, torch.Tensor]):
    """``pieces`` of ``tensors``, by their new names. ``shapes`` needs no tensor to be read."""

    def __init__(self, tensors: Tensors | Mapping[str, torch.Tensor], pieces: Mapping[str, Piece]) -> None:
        self._tensors = tensors
        self._pieces = pieces

    def __getitem__(self, name: str) -> torch.Tensor:
        piece = self._pieces[name]
        tensor = self._tensors[piece.key]
        if piece.rows is not None:
            parts = [tensor[start:stop] for start, stop in piece.rows]
            tensor = parts[0] if len(parts) == 1 else _joined(parts)
        return tensor.reshape(piece.shape)

    def __iter__(self) -> Iterator[str]:
        return iter(self._pieces)

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def shapes(self) -> dict[str, Shape]:
        return {name: piece.shape for name, piece in self._pieces.items()}


def shapes_of(tensors: Tensors | Mapping[str, torch.Tensor]) -> dict[str, Shape]:
    """The shape of every tensor; of a file's without reading them."""
    if isinstance(tensors, Tensors):
        return tensors.shapes
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    dtype = parts[0].dtype
    if parts[0].element_size() == 1:
        # Not every device joins float8; all of them join bytes.
        return torch.cat([part.view(torch.uint8) for part in parts]).view(dtype)
    return torch.cat(parts)
