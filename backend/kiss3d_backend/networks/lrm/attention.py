"""Attention of the triplane transformer, by the parameter names of ``torch.nn.MultiheadAttention`` without biases."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SelfAttention(nn.Module):
    """Tokens look at each other. What they see is read once, then any part of them can look."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.out_proj = nn.Linear(width, width, bias=False)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def read(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (N, L, width) of all tokens (N, L, width)."""
        key, value = functional.linear(tokens, self.in_proj_weight[self.out_proj.in_features :]).chunk(2, dim=-1)
        return key, value

    def forward(self, tokens: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What tokens (N, P, width) see in keys and values."""
        query = functional.linear(tokens, self.in_proj_weight[: self.out_proj.in_features])
        return self.out_proj(attend(query, key, value, self.heads))


class CrossAttention(nn.Module):
    """Tokens look at others of another width."""

    def __init__(self, width: int, other_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj_weight = nn.Parameter(torch.empty(width, width))
        self.k_proj_weight = nn.Parameter(torch.empty(width, other_width))
        self.v_proj_weight = nn.Parameter(torch.empty(width, other_width))
        self.out_proj = nn.Linear(width, width, bias=False)
        for weight in (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            nn.init.xavier_uniform_(weight)

    def read(self, others: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (N, K, width) of the others (N, K, other_width)."""
        return functional.linear(others, self.k_proj_weight), functional.linear(others, self.v_proj_weight)

    def forward(self, tokens: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """What tokens (N, P, width) see in keys and values."""
        return self.out_proj(attend(functional.linear(tokens, self.q_proj_weight), key, value, self.heads))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Softmax attention in ``heads`` groups of channels: (N, L, W), (N, K, W), (N, K, W) -> (N, L, W)."""
    query, key, value = (each.unflatten(-1, (heads, -1)).transpose(1, 2) for each in (query, key, value))
    return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
