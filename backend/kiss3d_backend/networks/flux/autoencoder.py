"""FLUX's autoencoder: from the names of the original file, to and from pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray

from kiss3d_backend.networks.checkpoint import Tensors, assign, parameters_on_meta
from kiss3d_backend.networks.checkpoint.keys import Shape
from kiss3d_backend.networks.flux.pieces import Piece, Pieces
from kiss3d_backend.networks.flux.tiles import in_tiles
from kiss3d_backend.networks.precision import refuse_half_on_cpu
from kiss3d_protocol.errors import ModelKeysWrong

SCALING, SHIFT = 0.3611, 0.1159
"""Latents are (code - SHIFT) * SCALING; both are published with the weights."""

_NORM_GROUPS = 32
"""Or one for each channel, where there are fewer."""
_LEVEL = re.compile(r"(encoder|decoder)\.(down|up)\.(\d+)\.(block|downsample|upsample)\.(?:(\d+)\.)?(.+)")
_MIDDLE = {
    "mid.block_1.": "mid_block.resnets.0.",
    "mid.block_2.": "mid_block.resnets.1.",
    "mid.attn_1.norm.": "mid_block.attentions.0.group_norm.",
    "mid.attn_1.q.": "mid_block.attentions.0.to_q.",
    "mid.attn_1.k.": "mid_block.attentions.0.to_k.",
    "mid.attn_1.v.": "mid_block.attentions.0.to_v.",
    "mid.attn_1.proj_out.": "mid_block.attentions.0.to_out.0.",
    "norm_out.": "conv_norm_out.",
}


def load_autoencoder(tensors: Tensors, device: torch.device, dtype: torch.dtype = torch.float32) -> AutoencoderKL:
    """The autoencoder; ``tensors`` in the original names, without a prefix. In float32 on the CPU they stay mapped.

    Raises :class:`ModelKeysWrong`, and :class:`ParamsInvalid` for float16 on the CPU.
    """
    refuse_half_on_cpu(device, dtype)
    shapes = tensors.shapes
    channels, layers, latents = _size(shapes, tensors.source)
    # diffusers annotates these as tuples of one.
    levels: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * len(channels),
        "up_block_types": ("UpDecoderBlock2D",) * len(channels),
        "block_out_channels": channels,
    }
    with parameters_on_meta():
        model = AutoencoderKL(
            **levels,
            layers_per_block=layers,
            act_fn="silu",
            latent_channels=latents,
            norm_num_groups=min(_NORM_GROUPS, *channels),
            scaling_factor=SCALING,
            shift_factor=SHIFT,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
    assign(model, autoencoder_pieces(tensors, len(channels)), source=tensors.source, device=device, dtype=dtype)
    return model.eval()


def autoencoder_pieces(tensors: Tensors, levels: int) -> Pieces:
    """The tensors by diffusers' names; attention's 1x1 convolutions become matrices."""
    pieces: dict[str, Piece] = {}
    for name, shape in tensors.shapes.items():
        flat = ".mid.attn_1." in name and len(shape) == 4 and shape[2:] == (1, 1)
        pieces[diffusers_name(name, levels)] = Piece(name, shape[:2] if flat else shape)
    return Pieces(tensors, pieces)


def diffusers_name(name: str, levels: int) -> str:
    """``decoder.up.3.block.0.norm1.weight`` is, with 4 levels, ``decoder.up_blocks.0.resnets.0.norm1.weight``."""
    found = _LEVEL.fullmatch(name)
    if found:
        half, way, level, kind, number, rest = found.groups()
        # The decoder's levels are numbered from fine to coarse there, and in the order of their work here.
        number_here = int(level) if half == "encoder" else levels - 1 - int(level)
        block = f"{half}.{way}_blocks.{number_here}."
        if kind == "block":
            return f"{block}resnets.{number}.{rest.replace('nin_shortcut', 'conv_shortcut')}"
        return f"{block}{kind}rs.0.{rest}"
    half, _, rest = name.partition(".")
    for old, new in _MIDDLE.items():
        if rest.startswith(old):
            return f"{half}.{new}{rest.removeprefix(old)}"
    return name


def _size(shapes: Mapping[str, Shape], source: str) -> tuple[tuple[int, ...], int, int]:
    """Channels of each level, residual blocks a level, latent channels."""
    levels = 0
    channels: list[int] = []
    while len(shape := shapes.get(f"encoder.down.{levels}.block.0.conv2.weight", ())) == 4:
        channels.append(shape[0])
        levels += 1
    layers = sum(1 for name in shapes if re.fullmatch(r"encoder\.down\.0\.block\.\d+\.conv2\.weight", name))
    latents = shapes.get("decoder.conv_in.weight", ())
    groups = min(_NORM_GROUPS, *channels) if channels else 0
    if not groups or len(latents) != 4 or any(count % groups for count in channels):
        raise ModelKeysWrong(f"{source} does not hold FLUX's autoencoder.")
    return tuple(channels), layers, latents[1]


def pixels_per_latent(model: AutoencoderKL) -> int:
    """How many pixels one latent stands for along each axis; 8 in the published model."""
    return 2 ** (len(model.config["block_out_channels"]) - 1)


def encode_picture(
    model: AutoencoderKL, picture: NDArray[np.uint8], noise: torch.Tensor, *, tiled: bool = False
) -> torch.Tensor:
    """Latents (1, C, H / f, W / f) float32 of a picture (H, W, 3) uint8.

    ``noise``: standard normal, of the latents' shape, float32, on any device: the code is a sample of the encoder's
    distribution. ``tiled``: see :func:`~kiss3d_backend.networks.flux.tiles.in_tiles`.
    """
    parameter = next(model.parameters())
    pixels = torch.from_numpy(np.ascontiguousarray(picture)).to(parameter.device)
    scaled = ((pixels.permute(2, 0, 1)[None].float() / 255.0) * 2.0 - 1.0).to(parameter.dtype)

    def spread(pixels: torch.Tensor) -> torch.Tensor:
        code = model.encode(pixels, return_dict=False)[0]
        return torch.cat([code.mean, code.std], dim=1)

    found = in_tiles(spread, scaled, cell=pixels_per_latent(model)) if tiled else spread(scaled)
    mean, deviation = found.float().chunk(2, dim=1)
    return (mean + deviation * noise.to(parameter.device) - model.config["shift_factor"]) * model.config[
        "scaling_factor"
    ]


def decode_latents(model: AutoencoderKL, latents: torch.Tensor, *, tiled: bool = False) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 of latents (1, C, h, w). ``tiled``: as :func:`encode_picture`. Waits for the
    device."""
    parameter = next(model.parameters())
    code = latents.float() / model.config["scaling_factor"] + model.config["shift_factor"]
    code = code.to(parameter.dtype)

    def decode(code: torch.Tensor) -> torch.Tensor:
        # diffusers annotates it with a class that no tensor is of.
        return model.decode(code, return_dict=False)[0]  # pyright: ignore[reportArgumentType]

    decoded = in_tiles(decode, code, made_cell=pixels_per_latent(model)) if tiled else decode(code)
    unit = (decoded[0].float() / 2 + 0.5).clamp(0, 1)
    return (unit.permute(1, 2, 0) * 255).round().to(torch.uint8).cpu().numpy()
