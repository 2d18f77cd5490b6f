"""Weights with which a tiny FLUX draws a valid bundle of a box, and not noise, whatever it is asked for.

A random network draws noise, of which nothing typical comes. Two places are arranged: everything else stays random,
adds a little to what is drawn, and makes it another picture for another seed.

The first double block finds out where a patch is. Each of its heads belongs to one tile of the picture. In it, the key
of all words is one vector and the query of all patches another, so that the rotary embedding makes of their product
cos(p - m) + cos(f (p - m)), row and column alike, p being the patch's place, m the tile's middle and f the second
frequency. That is most at the four patches in the middle of the tile: there a patch looks at the words, whose values
are all the same. Elsewhere it looks at other patches.

The decoder keeps two channels, the boxes of the upper and of the lower row, and gives the one a colour and the other
the normal that faces the camera, on white.
"""

from __future__ import annotations

import math

from torch import Tensor

TILES = 4
TILE = 4
"""Patches along a tile; a box has two along each axis."""
HEADS = 2 * TILES
COLOUR, FACING = (-0.2, 0.1, 0.6), (0.0, 0.0, 1.0)
"""From -1 to 1."""

_LOUD = 64.0
_VALUE = 16.0
"""Loud too: a LoRA adds its own to every layer."""
_BASE = 10_000.0
_PAIRS = 2
"""Of each axis: its two highest frequencies."""
_THRESHOLD = (1.75, 1.875)
"""The product: 3.3, between the 3.7 of a tile's inner patches and the 2.9 of those beside them."""
_SHARPNESS = 4.5
_CONTRAST = 100.0
"""Of the latents, in standard deviations of the noise."""
_STEEP, _LEVEL = 4.0, -2.0
_INSIDE = 8.6
"""What the last activation of the decoder is inside a box, as an eighth of the picture is one."""


def say_box(tensors: dict[str, Tensor]) -> None:
    """Changes the tensors of the single file, float32, in place.

    The transformer needs :data:`HEADS` heads, and the autoencoder 64 pixels a latent.
    """
    transformer, autoencoder = (
        {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        for prefix in ("model.diffusion_model.", "vae.")
    )
    _find_places(transformer)
    _tell_places(transformer)
    _show(autoencoder)


def _find_places(transformer: dict[str, Tensor]) -> None:
    width = len(transformer["img_in.bias"])
    head = width // HEADS
    side = 2 * (7 * head // 32)
    axes = (head - 2 * side, head - side)
    for stream in ("img", "txt"):
        transformer[f"double_blocks.0.{stream}_attn.qkv.weight"].zero_()
        transformer[f"double_blocks.0.{stream}_attn.qkv.bias"].zero_()
    queries, keys, _ = transformer["double_blocks.0.img_attn.qkv.bias"].view(3, HEADS, head).unbind()
    _, words, values = transformer["double_blocks.0.txt_attn.qkv.bias"].view(3, HEADS, head).unbind()
    # The first axis is not rotated. Keys of patches lie where no query has anything.
    keys[:, 0] = _LOUD
    queries[:, 1], words[:, 1] = _THRESHOLD[0] * _LOUD, -_THRESHOLD[1] * _LOUD
    values[:, 0] = _VALUE
    for number in range(HEADS):
        row, column = divmod(number, TILES)
        for first, tile in zip(axes, (row, column), strict=True):
            middle = TILE * tile + (TILE - 1) / 2
            for pair in range(_PAIRS):
                angle = middle * _BASE ** (-2 * pair / side)
                at = first + 2 * pair
                queries[number, at], queries[number, at + 1] = _LOUD * math.cos(angle), -_LOUD * math.sin(angle)
                words[number, at] = _LOUD
    transformer["double_blocks.0.img_attn.norm.query_norm.scale"].fill_(_SHARPNESS)
    transformer["double_blocks.0.txt_attn.norm.key_norm.scale"].fill_(_SHARPNESS)
    transformer["double_blocks.0.img_attn.norm.key_norm.scale"].fill_(1.0)
    gate = slice(2 * width, 3 * width)
    transformer["double_blocks.0.img_mod.lin.weight"][gate] = 0.0
    transformer["double_blocks.0.img_mod.lin.bias"][gate] = 1.0


def _tell_places(transformer: dict[str, Tensor]) -> None:
    """Half of the features tell whether a patch is in an upper box, half whether in a lower one, with both signs.

    What all patches have, so that a norm leaves them comparable, has other signs.
    """
    projected = transformer["double_blocks.0.img_attn.proj.weight"]
    width = len(projected)
    head = width // HEADS
    projected.zero_()
    transformer["img_in.weight"].mul_(0.1)
    drawn = transformer["final_layer.linear.weight"]
    drawn[:8].zero_()
    for feature in range(width):
        lower = int(feature >= width // 2)
        sign = 1.0 if feature % 2 else -1.0
        transformer["img_in.bias"][feature] = _LOUD if feature // 2 % 2 else -_LOUD
        projected[feature, lower * width // 2 : (lower + 1) * width // 2 : head] = sign * _LOUD / _VALUE
        # The velocity goes from the picture to the noise.
        drawn[4 * lower : 4 * lower + 4, feature] = -sign * _CONTRAST / (width // 2)


def _show(autoencoder: dict[str, Tensor]) -> None:
    """Every block of the decoder passes on what it gets; its first and last convolutions look at one pixel."""
    for name, value in autoencoder.items():
        if not name.startswith("decoder."):
            continue
        if ".conv2." in name or ".proj_out." in name:
            value.zero_()
        elif name.endswith("upsample.conv.weight"):
            value.zero_()
            value[:, :, 1, 1].fill_diagonal_(1.0)
        elif name.endswith("upsample.conv.bias"):
            value.zero_()
    first, last = autoencoder["decoder.conv_in.weight"], autoencoder["decoder.conv_out.weight"]
    channels = len(first)
    first.zero_()
    last.zero_()
    autoencoder["decoder.conv_in.bias"].zero_()
    for row, colour in enumerate((COLOUR, FACING)):
        first[row::2, row, 1, 1] = 1.0
        for part, value in enumerate(colour):
            last[part, row::2, 1, 1] = (value - 1.0) / _INSIDE / (channels // 2)
    autoencoder["decoder.conv_out.bias"].fill_(1.0)
    autoencoder["decoder.norm_out.weight"].fill_(_STEEP)
    autoencoder["decoder.norm_out.bias"].fill_(_LEVEL)
