"""A PRM of tiny widths, in the published layout: every tensor by its name, 12 and 16 layers.

Its transformers are random and do little; the learned tokens say "ball", so that views of anything give a closed mesh
of about a ball, coloured and dented by what the views show.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kiss3d_backend.networks.lrm.model import Lrm
from kiss3d_backend.networks.lrm.shape import LrmShape

TINY = LrmShape(
    image_width=16,
    image_layers=12,
    image_mlp=24,
    patch=64,
    image_positions=3,
    width=16,
    layers=16,
    mlp=24,
    tokens=8,
    channels=4,
    decoder_width=8,
    decoder_layers=4,
)
BALL_RADIUS = 0.6

_LOUD = 4.0
_SOFT = 0.03
"""How loud the learned tokens are, and what the layers add to them."""
_COLOURFUL = 5.0
_LIFT = 4.0
"""Keeps the field on the straight side of every ReLU."""


def tiny_lrm(seed: int = 0, shape: LrmShape = TINY) -> dict[str, Tensor]:
    """The tensors, float32, by the names under ``lrm_generator.`` in the published checkpoint."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tensors = {name: value.detach().clone() for name, value in Lrm(shape).state_dict().items()}
        for name, value in tensors.items():
            if value.dim() == 1 and "norm" not in name:
                value.normal_(std=0.02)
            if name.endswith(("_attn.out_proj.weight", "mlp.3.weight")):
                value *= _SOFT
            elif "net_rgb" in name and value.dim() == 2:
                value *= _COLOURFUL
    _say_ball(tensors, shape)
    return tensors


def _say_ball(tensors: dict[str, Tensor], shape: LrmShape) -> None:
    """Channel 0 of each plane becomes 1 - u**2 - v**2; their sum, 3 - 2 r**2, is the field but for its level."""
    axis = (torch.arange(shape.tokens) + 0.5) / shape.tokens * 2 - 1
    wanted = 1 - axis[:, None] ** 2 - axis**2
    # A cosine and a sine, each with its opposite: no layer norm changes their ratio or their mean.
    angle = torch.arccos(wanted.clamp(-1, 1)).ravel()
    tokens = torch.zeros(len(angle), shape.width)
    for channel, value in enumerate((angle.cos(), -angle.cos(), angle.sin(), -angle.sin())):
        tokens[:, channel] = value * _LOUD
    tensors["transformer.pos_embed"] = tokens.repeat(3, 1)[None]
    tensors["transformer.norm.weight"].fill_((2 / shape.width) ** 0.5)
    tensors["transformer.norm.bias"].zero_()
    tensors["transformer.deconv.weight"][:, 0] = 0
    tensors["transformer.deconv.weight"][0, 0] = 1
    tensors["transformer.deconv.bias"][0] = 0
    net = "synthesizer.decoder.net_sdf"
    last = 2 * (shape.decoder_layers - 1)
    for layer in range(0, last + 1, 2):
        weight, bias = tensors[f"{net}.{layer}.weight"], tensors[f"{net}.{layer}.bias"]
        weight[0], bias[0] = 0, 0
        if layer == 0:
            weight[0, :: shape.channels] = 1
            bias[0] = _LIFT
        else:
            weight[0, 0] = 1
    tensors[f"{net}.{last}.bias"][0] = -_LIFT - (3 - 2 * BALL_RADIUS**2)
