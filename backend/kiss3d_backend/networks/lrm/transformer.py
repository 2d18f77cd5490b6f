"""The triplane transformer (arXiv 2311.04400): learned tokens of three planes look at the pictures' tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from kiss3d_backend.networks.lrm.attention import CrossAttention, SelfAttention
from kiss3d_backend.networks.lrm.pieces import in_pieces, pieces, read_in_pieces
from kiss3d_backend.networks.lrm.shape import LrmShape


class TriplaneTransformer(nn.Module):
    """The names of the parameters are the published ones."""

    def __init__(self, shape: LrmShape) -> None:
        super().__init__()
        self.tokens = shape.tokens
        self.pos_embed = nn.Parameter(torch.randn(1, 3 * shape.tokens**2, shape.width) * shape.width**-0.5)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)
        self.deconv = nn.ConvTranspose2d(shape.width, shape.channels, kernel_size=2, stride=2)

    def steps(self, image_tokens: int) -> int:
        """How often :meth:`forward` calls ``step`` for so many tokens of pictures."""
        return len(self.layers) * (pieces(image_tokens) + 4 * pieces(self.pos_embed.shape[1]))

    def forward(self, image_tokens: Tensor, step: Callable[[], None]) -> Tensor:
        """``image_tokens``: (N, K, image_width). Returns planes (N, 3, channels, 2 tokens, 2 tokens).

        ``step`` is called :meth:`steps` times.
        """
        x = self.pos_embed.expand(len(image_tokens), -1, -1)
        for block in self.layers:
            x = block(x, image_tokens, step)
        planes = self.norm(x).reshape(-1, self.tokens, self.tokens, x.shape[-1]).permute(0, 3, 1, 2)
        return self.deconv(planes).unflatten(0, (len(image_tokens), 3))


class Block(nn.Module):
    """Cross-attention, self-attention and a perceptron, each added to its input."""

    def __init__(self, shape: LrmShape) -> None:
        super().__init__()
        width = shape.width
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn = CrossAttention(width, shape.image_width, shape.heads)
        self.norm2 = nn.LayerNorm(width)
        self.self_attn = SelfAttention(width, shape.heads)
        self.norm3 = nn.LayerNorm(width)
        # The published perceptron has a dropout in third place, which counts in the names.
        self.mlp = nn.Sequential(nn.Linear(width, shape.mlp), nn.GELU(), nn.Identity(), nn.Linear(shape.mlp, width))

    def forward(self, x: Tensor, image_tokens: Tensor, step: Callable[[], None]) -> Tensor:
        key, value = read_in_pieces(image_tokens, self.cross_attn.read, step)
        x = in_pieces(x, lambda part: part + self.cross_attn(self.norm1(part), key, value), step)
        key, value = read_in_pieces(x, lambda part: self.self_attn.read(self.norm2(part)), step)
        x = in_pieces(x, lambda part: part + self.self_attn(self.norm2(part), key, value), step)
        return in_pieces(x, lambda part: part + self.mlp(self.norm3(part)), step)
