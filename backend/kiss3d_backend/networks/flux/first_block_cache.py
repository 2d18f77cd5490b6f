"""Leaving out most of an evaluation when its first block does almost what it did before.

The change of the first block's residual from one evaluation to another foretells that of the output (first-block
cache, after TeaCache, https://arxiv.org/abs/2411.19108). The decision is the host's: it waits once an evaluation for
one number.
"""

from __future__ import annotations

import torch


class FirstBlockCache:
    """For one run. ``threshold``: mean |r - r'| / mean |r'| from which on a residual r counts as changed; with 0
    every one does. ``skipped``: evaluations that were left out so far."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._residual: torch.Tensor | None = None
        self._rest: torch.Tensor | None = None
        self._steered = False
        self.skipped = 0

    def rest(self, residual: torch.Tensor, steered: bool) -> torch.Tensor | None:
        """What the other blocks added last time, or None when they must be computed.

        ``steered``: whether a ControlNet adds to them; what was computed with it never stands for what is without.
        """
        if self._rest is not None and self._residual is not None and steered == self._steered:
            change = (residual - self._residual).abs().mean() / self._residual.abs().mean()
            if float(change) < self._threshold:
                self.skipped += 1
                return self._rest
        self._residual, self._rest, self._steered = residual, None, steered
        return None

    def keep(self, rest: torch.Tensor) -> None:
        """What the other blocks added, after :meth:`rest` was None."""
        self._rest = rest
