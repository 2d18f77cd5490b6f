"""How many bytes networks need beside their weights while they compute, as formulas of sizes and tokens. No torch.

Source of the factors: the modules were run at their published sizes on torch's meta device, where every allocation is
counted and nothing is computed (``tests/fakes/allocations.py``; a test repeats it). That sees no workspace of the
kernels; what is added for it says so.
"""

from __future__ import annotations

from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.devices.precision import BYTES, Compute
from kiss3d_backend.devices.workload import Workload

MIB = 2**20

VAE_CHANNELS = 128
"""Of the finest level of both autoencoders."""

TILE = 512
"""Pixels of a side of a tile, when a picture is decoded in tiles."""

_DECODE, _ENCODE = 6, 5
_DECODE_LAYOUT, _ENCODE_LAYOUT = 2, 1
"""Of the finest level's size. The layouts are an allowance: convolutions may hold a copy of their input and output in
the order that the hardware multiplies in."""

_TRANSFORMER = 17.2
"""Of a hidden state of all tokens: in a block, the state itself, its norm, query, key and value before and after they
are joined and turned, and the MLP's four widths."""

_UNET = 531 * MIB
"""Zero123++'s UNet at 128 x 128 latents, two of them, after its pass over the condition, in two bytes a number."""

_UNET_KERNELS = 1.25
"""Allowance for the convolutions' workspaces."""

_LRM_TRANSFORMER = 64 * MIB
_LRM_FIELD = 700 * MIB
"""Measured on an H100: 1.4 GiB at most with weights of .72; the field at 129^3 points and FlexiCubes."""

_CLIP_VISION = 11 * MIB
_FLORENCE = 300 * MIB
"""220 MiB in the image encoder; the keys and values of three beams, which are copied when beams change places."""

_REDUX = 20 * MIB
_T5_STATES, _T5_WIDTH, _T5_HEADS = 15.5, 4096, 64
"""Hidden states of a feed-forward layer; the positions' bias is a number for each pair of tokens and head. The matrix
of the last product is widened to float32."""

_T5_LAYER = 4096 * 10240

_REFINE = 400 * MIB
"""Four views of 512 x 512 and a mesh of some 60,000 faces; not measured on a GPU yet."""


def element(compute: Compute) -> int:
    """Bytes of one number."""
    return BYTES[compute]


def vae_decode(width: int, height: int, compute: Compute, *, tiled: bool = False) -> int:
    """An autoencoder's decoder for a picture of so many pixels; in tiles also the picture's strips that are kept."""
    if tiled:
        # Decoded tiles wait, three channels each, until they are blended.
        kept = 2 * 3 * width * height * element(compute)
        return vae_decode(min(TILE, width), min(TILE, height), compute) + kept
    return (_DECODE + _DECODE_LAYOUT) * VAE_CHANNELS * width * height * element(compute)


def vae_encode(width: int, height: int, compute: Compute, *, tiled: bool = False) -> int:
    """As :func:`vae_decode`, for the encoder."""
    if tiled:
        return vae_encode(min(TILE, width), min(TILE, height), compute)
    return (_ENCODE + _ENCODE_LAYOUT) * VAE_CHANNELS * width * height * element(compute)


def transformer(shape: FluxShape, tokens: int, compute: Compute) -> int:
    """One evaluation of FLUX's transformer, beside its weights as they are stored."""
    state = tokens * shape.width * element(compute)
    return int(_TRANSFORMER * state)


def steering(shape: FluxShape, workload: Workload, compute: Compute) -> int:
    """What a ControlNet needs on top of the transformer: its residuals, 5 double and 10 single ones, of the picture's
    tokens; its own blocks come before the transformer's, in the same memory, but for the state that waits."""
    residual = workload.image_tokens * shape.width * element(compute)
    waiting = 2 * workload.tokens * shape.width * element(compute)
    return 15 * residual + waiting


def unet(side: int, compute: Compute) -> int:
    """Zero123++ for a picture of ``side`` pixels."""
    return int(_UNET_KERNELS * _UNET * (side / 1024) ** 2 * element(compute) / 2)


def view_encoders(compute: Compute) -> int:
    return _CLIP_VISION * element(compute) // 2


def lrm(compute: Compute) -> int:
    """Planes and mesh of four views of 512 x 512; the field is float32 whatever the transformers are."""
    return max(_LRM_FIELD, _LRM_TRANSFORMER * element(compute) // 2)


def caption(compute: Compute) -> int:
    return _FLORENCE * element(compute) // 2


def text_encoders(text_tokens: int, compute: Compute) -> int:
    states = _T5_STATES * text_tokens * _T5_WIDTH * element(compute)
    return int(states) + _T5_HEADS * text_tokens**2 * element(compute) + _T5_LAYER * 4


def redux(compute: Compute) -> int:
    return _REDUX * element(compute) // 2


def refine() -> int:
    return _REFINE
