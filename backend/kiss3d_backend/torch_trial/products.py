"""Whether torch has kernels for a device at all: one small product, compared with the same in whole numbers."""

from __future__ import annotations

import torch

SIDE = 16


def product_problem(device: torch.device) -> str:
    """Why the product of two matrices cannot be had; empty when it is right.

    A build that is too old for a new card, or too new for an old one, fails here and not before ("no kernel image is
    available for execution on the device").
    """
    numbers = torch.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 7
    try:
        values = numbers.to(device, torch.float32)
        found = (values @ values).cpu()
    except Exception as error:  # whatever a library or a driver may raise
        return " ".join(str(error).split())[:300]
    # The factors are below 7, so the sums are whole numbers that float32, and TF32 too, has exactly.
    return "" if torch.equal(found.long(), numbers @ numbers) else "it computes a product of matrices wrongly"
