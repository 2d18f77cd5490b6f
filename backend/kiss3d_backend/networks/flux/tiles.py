"""A large picture through the autoencoder tile by tile, which takes the memory of one tile."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

SIDE = 96
OVERLAP = 16
"""Latents: a bundle of 256 x 128 is six tiles, each of which takes little more than a quarter of the whole's memory."""


def in_tiles(
    work: Callable[[torch.Tensor], torch.Tensor],
    given: torch.Tensor,
    cell: int = 1,
    made_cell: int = 1,
    side: int = SIDE,
    overlap: int = OVERLAP,
) -> torch.Tensor:
    """As ``work(given)`` in float32, put together from squares of ``side`` latents.

    ``given``: (1, C, h * cell, w * cell), made into (1, D, h * made_cell, w * made_cell): encoding has the pixels of a
    latent as ``cell`` and 1 as ``made_cell``, decoding the other way round. Neighbours share at least ``overlap``
    latents, over which one fades linearly into the other. Work that normalises sees a tile's own mean and spread, so a
    tile is nearly, not quite, what the whole has there.
    """
    rows, columns = (length // cell for length in given.shape[2:])
    tops, lefts = starts(rows, side, overlap), starts(columns, side, overlap)
    height, width = min(side, rows), min(side, columns)
    total = torch.zeros((1, 1, rows * made_cell, columns * made_cell), device=given.device)
    result = total
    for top in tops:
        for left in lefts:
            tile = work(given[:, :, _span(top, height, cell), _span(left, width, cell)]).float()
            weight = torch.outer(
                _weights(top, tops, height, made_cell, given.device),
                _weights(left, lefts, width, made_cell, given.device),
            )
            if result is total:
                result = total.repeat(1, tile.shape[1], 1, 1)
            there = (..., _span(top, height, made_cell), _span(left, width, made_cell))
            result[there] += tile * weight
            total[there] += weight
    return result / total


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Where the fewest tiles of ``side`` begin that cover ``length`` and share ``overlap`` or more, evenly spread."""
    if length <= side:
        return [0]
    count = math.ceil((length - overlap) / (side - overlap))
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def _span(start: int, length: int, cell: int) -> slice:
    return slice(start * cell, (start + length) * cell)


def _weights(start: int, all_starts: list[int], side: int, cell: int, device: torch.device) -> torch.Tensor:
    """(side * cell,): 1, falling linearly towards 0 where another tile lies too."""
    place = all_starts.index(start)
    weights = torch.ones(side * cell, device=device)
    if place > 0:
        shared = (all_starts[place - 1] + side - start) * cell
        weights[:shared] = _ramp(shared, device)
    if place + 1 < len(all_starts):
        shared = (start + side - all_starts[place + 1]) * cell
        weights[-shared:] = _ramp(shared, device).flip(0)
    return weights


def _ramp(length: int, device: torch.device) -> torch.Tensor:
    return (torch.arange(length, device=device) + 0.5) / length
