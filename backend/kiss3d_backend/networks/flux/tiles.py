"""Decoding a large picture tile by tile, which takes the memory of one tile."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

SIDE = 96
OVERLAP = 16
"""Latents: a bundle of 256 x 128 is six tiles, which at its widest layer take a third of the memory of the whole."""


def decode_in_tiles(
    decode: Callable[[torch.Tensor], torch.Tensor],
    code: torch.Tensor,
    scale: int,
    side: int = SIDE,
    overlap: int = OVERLAP,
) -> torch.Tensor:
    """As ``decode`` of ``code`` (1, C, h, w): (1, 3, h * scale, w * scale) float32, from squares of ``side`` latents.

    Neighbours share at least ``overlap`` latents, over which one fades linearly into the other. A decoder that
    normalises sees a tile's own mean and spread, so a tile is nearly, not quite, what the whole has there.
    """
    tops, lefts = (starts(length, side, overlap) for length in code.shape[2:])
    height, width = (min(side, length) for length in code.shape[2:])
    size = (code.shape[2] * scale, code.shape[3] * scale)
    result = torch.zeros((1, 3, *size), device=code.device)
    total = torch.zeros((1, 1, *size), device=code.device)
    for top in tops:
        for left in lefts:
            tile = decode(code[:, :, top : top + height, left : left + width]).float()
            weight = torch.outer(
                _weights(top, tops, height, scale, code.device), _weights(left, lefts, width, scale, code.device)
            )
            rows = slice(top * scale, (top + height) * scale)
            columns = slice(left * scale, (left + width) * scale)
            result[:, :, rows, columns] += tile * weight
            total[:, :, rows, columns] += weight
    return result / total


def starts(length: int, side: int, overlap: int) -> list[int]:
    """Where the fewest tiles of ``side`` begin that cover ``length`` and share ``overlap`` or more, evenly spread."""
    if length <= side:
        return [0]
    count = math.ceil((length - overlap) / (side - overlap))
    return [round(number * (length - side) / (count - 1)) for number in range(count)]


def _weights(start: int, all_starts: list[int], side: int, scale: int, device: torch.device) -> torch.Tensor:
    """(side * scale,): 1, falling linearly towards 0 where another tile lies too."""
    place = all_starts.index(start)
    weights = torch.ones(side * scale, device=device)
    if place > 0:
        shared = (all_starts[place - 1] + side - start) * scale
        weights[:shared] = _ramp(shared, device)
    if place + 1 < len(all_starts):
        shared = (start + side - all_starts[place + 1]) * scale
        weights[-shared:] = _ramp(shared, device).flip(0)
    return weights


def _ramp(length: int, device: torch.device) -> torch.Tensor:
    return (torch.arange(length, device=device) + 0.5) / length
