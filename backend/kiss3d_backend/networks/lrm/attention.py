"""Attention of the triplane transformer, by the parameter names of ``torch.nn.MultiheadAttention`` without biases."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SelfAttention(nn.Module):
    """Tokens (N, L, width) look at each other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.out_proj = nn.Linear(width, width, bias=False)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = functional.linear(tokens, self.in_proj_weight).chunk(3, dim=-1)
        return self.out_proj(attend(query, key, value, self.heads))


class CrossAttention(nn.Module):
    """Tokens (N, L, width) look at others (N, K, other_width)."""

    def __init__(self, width: int, other_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj_weight = nn.Parameter(torch.empty(width, width))
        self.k_proj_weight = nn.Parameter(torch.empty(width, other_width))
        self.v_proj_weight = nn.Parameter(torch.empty(width, other_width))
        self.out_proj = nn.Linear(width, width, bias=False)
        for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            nn.init.xavier_uniform_(weight)

    def forward(self, tokens: Tensor, others: Tensor) -> Tensor:
        query = functional.linear(tokens, self.q_proj_weight)
        key = functional.linear(others, self.k_proj_weight)
        value = functional.linear(others, self.v_proj_weight)
        return self.out_proj(attend(query, key, value, self.heads))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Softmax attention in ``heads`` groups of channels: (N, L, W), (N, K, W), (N, K, W) -> (N, L, W)."""
    query, key, value = (each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
