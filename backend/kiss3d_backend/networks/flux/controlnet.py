"""ControlNet Union in InstantX's layout: one network that steers by pictures of several kinds.

Published at https://huggingface.co/InstantX/FLUX.1-dev-Controlnet-Union, as diffusers' FluxControlNetModel.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import torch
from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel

from kiss3d_backend.networks.checkpoint import Tensors, assign, parameters_on_meta
from kiss3d_backend.networks.checkpoint.keys import Shape
from kiss3d_backend.networks.flux.bfl_names import count_blocks
from kiss3d_backend.networks.flux.stored_layers import store_linears, stored_names
from kiss3d_backend.networks.flux.transformer import rotary_axes
from kiss3d_backend.networks.precision import refuse_half_on_cpu
from kiss3d_protocol.errors import ModelKeysWrong

FILE = "diffusion_pytorch_model.safetensors"


class ControlMode(IntEnum):
    """What the steering picture shows, by the numbers that the network was trained with."""

    CANNY = 0
    TILE = 1
    DEPTH = 2
    BLUR = 3
    POSE = 4
    GRAY = 5
    LOW_QUALITY = 6


def load_controlnet(
    tensors: Tensors, device: torch.device, dtype: torch.dtype, *, in_float8: bool = False
) -> FluxControlNetModel:
    """The network in ``dtype``; its size follows from the shapes. In bfloat16 on the CPU the published file stays
    mapped. ``in_float8``: matrices are rounded to float8_e4m3fn, as FLUX's own published file has them, and widened
    when they are used.

    Raises :class:`ModelKeysWrong`, and :class:`ParamsInvalid` for float16 on the CPU.
    """
    refuse_half_on_cpu(device, dtype)
    shapes, source = tensors.shapes, tensors.source
    width, in_channels = _shape(shapes, "x_embedder.weight", 2, source)
    (head_width,) = _shape(shapes, "transformer_blocks.0.attn.norm_q.weight", 1, source)
    with parameters_on_meta(), quiet_construction():
        model = FluxControlNetModel(
            patch_size=1,
            in_channels=in_channels,
            num_layers=count_blocks(shapes, "transformer_blocks."),
            num_single_layers=count_blocks(shapes, "single_transformer_blocks."),
            attention_head_dim=head_width,
            num_attention_heads=max(1, width // max(1, head_width)),
            joint_attention_dim=_shape(shapes, "context_embedder.weight", 2, source)[1],
            pooled_projection_dim=_shape(shapes, "time_text_embed.text_embedder.linear_1.weight", 2, source)[1],
            guidance_embeds="time_text_embed.guidance_embedder.linear_1.weight" in shapes,
            axes_dims_rope=list(rotary_axes(head_width)),
            num_mode=_shape(shapes, "controlnet_mode_embedder.weight", 2, source)[0],
        )
    stored: frozenset[str] = frozenset()
    if in_float8:
        store_linears(model)
        stored = stored_names(model)

    def dtype_of(name: str) -> torch.dtype:
        return torch.float8_e4m3fn if name in stored and name.endswith("weight") else dtype

    assign(model, tensors, source=source, device=device, dtype=dtype_of)
    return model.eval()


@contextmanager
def quiet_construction() -> Iterator[None]:
    """diffusers 0.42 warns that its own ControlNet takes FluxPosEmbed from a deprecated place; nobody else can help."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`FluxPosEmbed` is deprecated", category=FutureWarning)
        yield


def _shape(shapes: dict[str, Shape], name: str, dimensions: int, source: str) -> Shape:
    shape = shapes.get(name, ())
    if len(shape) != dimensions:
        raise ModelKeysWrong(f"{source} is not a ControlNet Union for FLUX: it lacks {name}.")
    return shape
