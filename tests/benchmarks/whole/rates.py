"""What the machine can do at best: products, its own memory, and the way to it."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from tests.benchmarks.bench_flux_step import copy_rate, matrix_rates, seconds


@attrs.frozen
class Rates:
    """``float8``, ``half``: operations a second of large square products; None where the device has none of them.
    ``memory``: bytes a second, read and written on the device. ``copy``: from pinned memory to it."""

    float8: float | None
    half: float
    memory: float
    copy: float | None


def measure_rates(device: torch.device, *, tiny: bool) -> tuple[Rates, dict[str, Any]]:
    """The rates, and all that was measured: float16 too, and copies from memory that is not pinned."""
    side = 256 if tiny else 8192
    found: dict[str, Any] = dict(matrix_rates(side, device))
    half = [torch.randn(side, side, device=device, dtype=torch.float16) for _ in range(2)]
    found["fp16"] = 2 * side**3 / seconds(lambda: half[0] @ half[1].T, 20, device, 3)
    one = torch.zeros((1 if tiny else 2048) * 2**20, dtype=torch.uint8, device=device)
    other = torch.empty_like(one)
    memory = 2 * one.numel() / seconds(lambda: other.copy_(one), 5, device)
    found["memory_bytes"] = memory
    found["copy_pinned_bytes"] = copied = copy_rate(device)
    if device.type == "cuda":
        host = torch.empty(2**28, dtype=torch.uint8)
        there = torch.empty_like(host, device=device)
        found["copy_pageable_bytes"] = host.numel() / seconds(lambda: there.copy_(host), 5, device)
    return Rates(found["fp8"], found["bf16"], memory, copied), found
