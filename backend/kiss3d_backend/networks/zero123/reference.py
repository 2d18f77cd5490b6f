"""Reference attention (arXiv 2310.15110, section 2.2): self-attention that also looks at a second picture.

In the writing pass each self-attention keeps its input; in the reading pass the kept input is appended to what keys and
values are made from. Item k of the batch reads what item k wrote, so that each half of classifier-free guidance has its
own reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

_SELF_ATTENTION = "attn1.processor"


class _Kept:
    """What the self-attentions of one UNet share during one evaluation."""

    def __init__(self) -> None:
        self.mode: Literal["write", "read"] = "write"
        self.states: dict[str, torch.Tensor] = {}
        self.on_attention: Callable[[], None] = _nothing


def _nothing() -> None:
    return


class _ReferenceAttention:
    """Replaces the processor of one self-attention (diffusers' interface)."""

    def __init__(self, name: str, kept: _Kept) -> None:
        self._name = name
        self._kept = kept
        self._attend = AttnProcessor2_0()

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        self._kept.on_attention()
        source = hidden_states
        if self._kept.mode == "write":
            self._kept.states[self._name] = hidden_states
        else:
            source = torch.cat([hidden_states, self._kept.states.pop(self._name)], dim=1)
        return self._attend(attn, hidden_states, source, attention_mask, temb)


class ReferenceUNet:
    """A UNet with reference attention; it takes over the UNet's self-attention processors."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        self._unet = unet
        self._kept = _Kept()
        processors: dict[str, Any] = {
            name: _ReferenceAttention(name, self._kept) if name.endswith(_SELF_ATTENTION) else AttnProcessor2_0()
            for name in unet.attn_processors
        }
        unet.set_attn_processor(processors)

    @property
    def device(self) -> torch.device:
        return self._unet.device

    @property
    def dtype(self) -> torch.dtype:
        return self._unet.dtype

    @property
    def latent_channels(self) -> int:
        return int(self._unet.config["in_channels"])

    def __call__(
        self,
        latents: torch.Tensor,
        condition: torch.Tensor,
        timestep: torch.Tensor,
        text: torch.Tensor,
        on_attention: Callable[[], None] = _nothing,
    ) -> torch.Tensor:
        """The prediction for ``latents`` (B, C, H, W) with the reference ``condition`` (B, C, h, w).

        Both are scaled to unit variance. ``timestep``: without dimensions, on the device. ``text``: (B, L, D).

        ``on_attention`` is called before each self-attention, dozens of times in an evaluation; what it raises ends it.
        """
        self._kept.on_attention = on_attention
        try:
            self._kept.mode = "write"
            self._unet(condition, timestep, encoder_hidden_states=text, return_dict=False)
            self._kept.mode = "read"
            return self._unet(latents, timestep, encoder_hidden_states=text, return_dict=False)[0]
        finally:
            self._kept.states.clear()
            self._kept.on_attention = _nothing
