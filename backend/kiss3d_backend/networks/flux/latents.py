"""Latents as the transformer reads them: patches of 2 x 2 in a row, with their places."""

from __future__ import annotations

import torch


def pack(latents: torch.Tensor) -> torch.Tensor:
    """(1, C, H, W) to (1, H/2 * W/2, 4 C): row by row, each patch channel by channel, its rows first. H, W even."""
    batch, channels, height, width = latents.shape
    patches = latents.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return patches.permute(0, 2, 4, 1, 3, 5).reshape(batch, height // 2 * (width // 2), channels * 4)


def unpack(packed: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The inverse of :func:`pack`; ``height``, ``width``: of the latents, even."""
    batch, _, channels = packed.shape
    patches = packed.reshape(batch, height // 2, width // 2, channels // 4, 2, 2)
    return patches.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels // 4, height, width)


def places(height: int, width: int) -> torch.Tensor:
    """(H/2 * W/2, 3) float32: 0, row and column of each patch, for the rotary embedding."""
    rows, columns = torch.meshgrid(torch.arange(height // 2), torch.arange(width // 2), indexing="ij")
    return torch.stack([torch.zeros_like(rows), rows, columns], dim=-1).reshape(-1, 3).float()
