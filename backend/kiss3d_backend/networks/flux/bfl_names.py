"""The names that Black Forest Labs gave the transformer's layers, and where diffusers has the same numbers.

Both are public: https://github.com/black-forest-labs/flux and diffusers' FluxTransformer2DModel. BFL fuses the
projections of attention (and in single blocks the first layer of the MLP) into one layer each; diffusers keeps them
apart. The last modulation is (shift, scale) there and (scale, shift) here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import attrs

Cut = Literal["whole", "thirds", "qkv_mlp", "halves_swapped"]
Rows = tuple[tuple[int, int], ...]

_ENDS = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "final_layer.linear": "proj_out",
}
_DOUBLE = {
    "img_mod.lin": "norm1.linear",
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "img_attn.proj": "attn.to_out.0",
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "txt_mod.lin": "norm1_context.linear",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
    "txt_attn.proj": "attn.to_add_out",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
}
_DOUBLE_FUSED = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_SINGLE = {
    "modulation.lin": "norm.linear",
    "norm.query_norm": "attn.norm_q",
    "norm.key_norm": "attn.norm_k",
    "linear2": "proj_out",
}
_SINGLE_FUSED = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")


@attrs.frozen
class Place:
    """Where one of BFL's modules went: diffusers' modules, and how the rows are cut among them."""

    modules: tuple[str, ...]
    cut: Cut

    def rows(self, total: int, width: int) -> tuple[Rows | None, ...]:
        """For each of ``modules`` its ranges of the ``total`` rows; None for all. ``width``: of the transformer."""
        if self.cut == "whole":
            return (None,)
        if self.cut == "halves_swapped":
            half = total // 2
            return (((half, total), (0, half)),)
        if self.cut == "thirds":
            third = total // 3
            return ((0, third),), ((third, 2 * third),), ((2 * third, total),)
        return ((0, width),), ((width, 2 * width),), ((2 * width, 3 * width),), ((3 * width, total),)


def places(double_blocks: int, single_blocks: int) -> dict[str, Place]:
    """For every module of BFL's transformer with so many blocks its place; the guidance's modules are among them."""
    return dict(_places(double_blocks, single_blocks))


def _places(double_blocks: int, single_blocks: int) -> Iterator[tuple[str, Place]]:
    for old, new in _ENDS.items():
        yield old, Place((new,), "whole")
    yield "final_layer.adaLN_modulation.1", Place(("norm_out.linear",), "halves_swapped")
    for n in range(double_blocks):
        before, after = f"double_blocks.{n}.", f"transformer_blocks.{n}."
        for old, new in _DOUBLE.items():
            yield before + old, Place((after + new,), "whole")
        for old, several in _DOUBLE_FUSED.items():
            yield before + old, Place(tuple(after + new for new in several), "thirds")
    for n in range(single_blocks):
        before, after = f"single_blocks.{n}.", f"single_transformer_blocks.{n}."
        for old, new in _SINGLE.items():
            yield before + old, Place((after + new,), "whole")
        yield before + "linear1", Place(tuple(after + new for new in _SINGLE_FUSED), "qkv_mlp")


def count_blocks(names: Iterable[str], prefix: str) -> int:
    """How many blocks ``names`` speak of: one more than the largest number after ``prefix`` (``double_blocks.``)."""
    numbers = {name.removeprefix(prefix).split(".")[0] for name in names if name.startswith(prefix)}
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)
