"""Joint attention of FLUX's blocks, with a rotation that takes little memory and torch's choice of kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.models.embeddings import apply_rotary_emb
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from kiss3d_backend.networks.flux.execution import AttentionBackEnd

Rotation = torch.Tensor | tuple[torch.Tensor, torch.Tensor]
"""Unit complex numbers (S, D / 2) complex64, or their parts as diffusers has them: cosines and sines (S, D) float32,
each twice in a row."""

_BACK_ENDS = {
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}


def complex_rotation(cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """Of diffusers' parts (S, D) the complex numbers (S, D / 2)."""
    return torch.complex(cosines[:, ::2].float(), sines[:, ::2].float())


def rotated(x: torch.Tensor, rotation: Rotation) -> torch.Tensor:
    """Neighbouring channels of ``x`` (B, S, heads, D) as complex numbers, times those of their token.

    In float32 as published (https://arxiv.org/abs/2104.09864). The complex product makes a third of the passes over
    memory that its parts take one by one; a compiler fuses the parts, and knows no complex numbers.
    """
    if isinstance(rotation, tuple):
        return apply_rotary_emb(x, rotation, sequence_dim=1)  # pyright: ignore[reportArgumentType, reportReturnType]
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * rotation[None, :, None]).flatten(-2).to(x.dtype)


@contextmanager
def attention_by(back_end: AttentionBackEnd) -> Iterator[None]:
    """torch asks this kernel first, and the others in the usual order where it cannot do what is wanted."""
    if back_end == "default":
        yield
        return
    first = _BACK_ENDS[back_end]
    order = [first, *(other for other in _BACK_ENDS.values() if other is not first)]
    with sdpa_kernel(order, set_priority=True):
        yield


class JointAttention:
    """A processor for diffusers' FluxAttention, of double blocks (text before picture) and of single ones."""

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        image_rotary_emb: Rotation | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        assert attention_mask is None and image_rotary_emb is not None
        heads = (-1, attn.head_dim)
        query = attn.norm_q(attn.to_q(hidden_states).unflatten(-1, heads))
        key = attn.norm_k(attn.to_k(hidden_states).unflatten(-1, heads))
        value = attn.to_v(hidden_states).unflatten(-1, heads)
        if encoder_hidden_states is not None:
            text = encoder_hidden_states
            query = torch.cat([attn.norm_added_q(attn.add_q_proj(text).unflatten(-1, heads)), query], dim=1)
            key = torch.cat([attn.norm_added_k(attn.add_k_proj(text).unflatten(-1, heads)), key], dim=1)
            value = torch.cat([attn.add_v_proj(text).unflatten(-1, heads), value], dim=1)
        query, key = rotated(query, image_rotary_emb), rotated(key, image_rotary_emb)
        result = functional.scaled_dot_product_attention(
            query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        )
        result = result.transpose(1, 2).flatten(2, 3)
        if encoder_hidden_states is None:
            return result
        text_result, image_result = result.split([encoder_hidden_states.shape[1], hidden_states.shape[1]], dim=1)
        # Scaled products want their rows one after the other.
        return attn.to_out[0](image_result.contiguous()), attn.to_add_out(text_result.contiguous())
