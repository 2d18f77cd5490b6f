"""How many bytes networks need beside their weights while they compute, as formulas of sizes and tokens. No torch.

Source of the factors: the modules were run at their published sizes on torch's meta device, where every allocation is
counted and nothing is computed (``tests/fakes/allocations.py``; a test repeats it). That sees no workspace of the
kernels; what is added for it says so.
"""

from __future__ import annotations

from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.devices.precision import BYTES, Compute, Products

MIB = 2**20

VAE_CHANNELS = 128
"""Of the finest level of both autoencoders."""

TILE = 768
"""Pixels of a side of a tile, when a bundle is decoded in tiles."""

_DECODE, _ENCODE = 6, 5
_DECODE_LAYOUT, _ENCODE_LAYOUT = 3.6, 1
"""Of the finest level's size. The layouts are what convolutions take beside that, for workspaces and copies in the
order that the hardware multiplies in: of the decoders as measured on an H200 at both sizes (2.4 and 4.8 GiB in all), of
the encoders an allowance."""

_WIDENED, _SCALED, _STEERED = 17.3, 22.3, 40.3
"""Of a hidden state of all tokens, in a block: the state itself, its norm, query, key and value before and after they
are turned, and the MLP's four widths; scaled products round copies of what they multiply. A ControlNet keeps fifteen
residuals and runs while the transformer's own states wait."""

_UNET = 531 * MIB
"""Zero123++'s UNet at 128 x 128 latents, two of them, after its pass over the condition, in two bytes a number."""

_UNET_KERNELS = 1.25
"""Allowance for the convolutions' workspaces."""

_LRM_TRANSFORMER = 64 * MIB
_LRM_FIELD = 100 * MIB
"""Measured on an H200: the field at 129^3 points in pieces of 64 MiB, and FlexiCubes."""

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
    """An autoencoder's decoder for a picture of so many pixels; in tiles, with the picture that they are laid into."""
    if tiled and width * height > TILE * TILE:
        laid = 4 * width * height * BYTES["float32"]
        return vae_decode(min(TILE, width), min(TILE, height), compute) + laid
    return int((_DECODE + _DECODE_LAYOUT) * VAE_CHANNELS * width * height * element(compute))


def vae_encode(width: int, height: int, compute: Compute) -> int:
    """As :func:`vae_decode`, for the encoder."""
    return (_ENCODE + _ENCODE_LAYOUT) * VAE_CHANNELS * width * height * element(compute)


def transformer(shape: FluxShape, tokens: int, compute: Compute, products: Products, *, steered: bool = False) -> int:
    """One evaluation of FLUX's transformer, beside its weights as they are stored; ``steered``: by a ControlNet."""
    factor = _SCALED if products == "scaled" else _WIDENED
    return int(max(factor, _STEERED if steered else 0.0) * tokens * shape.width * element(compute))


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
