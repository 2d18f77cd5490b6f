"""The widths of an LRM, published or smaller."""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs

_HEAD_WIDTH = 64


@attrs.frozen
class LrmShape:
    """The defaults are those of the published PRM (378.7 M parameters in 527 tensors).

    ``image_width``, ``image_layers``, ``image_mlp``: of the image encoder. ``patch``: pixels. ``image_positions``:
    side of the square of stored position embeddings. ``width``, ``layers``, ``mlp``: of the triplane transformer.
    ``tokens``: side of a plane in tokens; a plane has twice as many texels. ``channels``: of a plane.
    ``decoder_width``, ``decoder_layers``: of each of the five perceptrons.
    """

    image_width: int = 768
    image_layers: int = 12
    image_mlp: int = 3072
    patch: int = 16
    image_positions: int = 14
    width: int = 1024
    layers: int = 16
    mlp: int = 4096
    tokens: int = 32
    channels: int = 80
    decoder_width: int = 64
    decoder_layers: int = 4

    @property
    def image_heads(self) -> int:
        return heads(self.image_width)

    @property
    def heads(self) -> int:
        return heads(self.width)


def heads(width: int) -> int:
    """Attention heads of 64 channels, as in both published transformers; at least one."""
    return max(width // _HEAD_WIDTH, 1)


def shape_of(shapes: Mapping[str, tuple[int, ...]]) -> LrmShape | None:
    """The widths of a file, from the names and shapes of its tensors; None when a tensor that tells one is not there.

    What does not fit together shows when the tensors are compared with a module of these widths.
    """
    try:
        patch = shapes["encoder.model.embeddings.patch_embeddings.projection.weight"]
        deconvolution = shapes["transformer.deconv.weight"]
        return LrmShape(
            image_width=patch[0],
            image_layers=_count(shapes, "encoder.model.encoder.layer.", ".layernorm_before.weight"),
            image_mlp=shapes["encoder.model.encoder.layer.0.intermediate.dense.weight"][0],
            patch=patch[2],
            image_positions=math.isqrt(shapes["encoder.model.embeddings.position_embeddings"][1] - 1),
            width=deconvolution[0],
            layers=_count(shapes, "transformer.layers.", ".norm1.weight"),
            mlp=shapes["transformer.layers.0.mlp.0.weight"][0],
            tokens=math.isqrt(shapes["transformer.pos_embed"][1] // 3),
            channels=deconvolution[1],
            decoder_width=shapes["synthesizer.decoder.net_sdf.0.weight"][0],
            decoder_layers=_count(shapes, "synthesizer.decoder.net_sdf.", ".weight"),
        )
    except (KeyError, IndexError, ValueError):
        return None


def _count(shapes: Mapping[str, tuple[int, ...]], start: str, end: str) -> int:
    return sum(name.startswith(start) and name.endswith(end) for name in shapes)
