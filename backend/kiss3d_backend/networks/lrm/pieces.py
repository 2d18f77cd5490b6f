"""Tokens some at a time: a piece of the published model takes about 50 milliseconds on two cores. After each a cancel
is looked for, and so noticed within half a second on a busy machine too."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

TOKENS_AT_ONCE = 256


def pieces(tokens: int) -> int:
    """How many there are of so many tokens."""
    return -(-tokens // TOKENS_AT_ONCE)


def in_pieces(tokens: Tensor, change: Callable[[Tensor], Tensor], step: Callable[[], None]) -> Tensor:
    """``change`` of tokens (N, L, W), each of which it treats by itself. ``step`` is called after each piece."""
    changed = []
    for part in tokens.split(TOKENS_AT_ONCE, dim=1):
        changed.append(change(part))
        step()
    return torch.cat(changed, dim=1)


def read_in_pieces(
    tokens: Tensor, read: Callable[[Tensor], tuple[Tensor, Tensor]], step: Callable[[], None]
) -> tuple[Tensor, Tensor]:
    """The keys and values that ``read`` makes of tokens (N, L, W). ``step`` is called after each piece."""
    keys, values = [], []
    for part in tokens.split(TOKENS_AT_ONCE, dim=1):
        key, value = read(part)
        keys.append(key)
        values.append(value)
        step()
    return torch.cat(keys, dim=1), torch.cat(values, dim=1)
