"""The transformer from a file in BFL's layout: weights stay float8, its size follows from the tensors' shapes."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel

from kiss3d_backend.networks.checkpoint import Tensors, assign, parameters_on_meta
from kiss3d_backend.networks.checkpoint.keys import Shape
from kiss3d_backend.networks.flux.bfl_names import count_blocks, places
from kiss3d_backend.networks.flux.pieces import Piece, Pieces, shapes_of
from kiss3d_backend.networks.flux.stored_layers import store_linears, stored_names
from kiss3d_backend.networks.precision import refuse_half_on_cpu
from kiss3d_protocol.errors import ModelKeysWrong


@attrs.frozen
class TransformerShape:
    """The numbers that diffusers' FluxTransformer2DModel is made from. ``guidance``: dev has it, schnell has not."""

    in_channels: int
    out_channels: int
    width: int
    head_width: int
    double_blocks: int
    single_blocks: int
    text_width: int
    pooled_width: int
    guidance: bool

    @classmethod
    def of(cls, shapes: Mapping[str, Shape], source: str) -> TransformerShape:
        """From BFL's names and shapes. Raises :class:`ModelKeysWrong` when a tensor that tells is not there."""
        telling = {
            name: dimensions
            for name, dimensions in {
                "img_in.weight": 2,
                "txt_in.weight": 2,
                "vector_in.in_layer.weight": 2,
                "final_layer.linear.weight": 2,
                "double_blocks.0.img_attn.norm.query_norm.scale": 1,
            }.items()
            if len(shapes.get(name, ())) != dimensions
        }
        if telling:
            raise ModelKeysWrong(f"{source} is not a FLUX transformer: it lacks {', '.join(telling)}.")
        width, in_channels = shapes["img_in.weight"]
        head_width = shapes["double_blocks.0.img_attn.norm.query_norm.scale"][0]
        if head_width < 1 or width % head_width:
            raise ModelKeysWrong(f"{source}: heads of {head_width} do not fit a width of {width}.")
        return cls(
            in_channels=in_channels,
            out_channels=shapes["final_layer.linear.weight"][0],
            width=width,
            head_width=head_width,
            double_blocks=count_blocks(shapes, "double_blocks."),
            single_blocks=count_blocks(shapes, "single_blocks."),
            text_width=shapes["txt_in.weight"][1],
            pooled_width=shapes["vector_in.in_layer.weight"][1],
            guidance="guidance_in.in_layer.weight" in shapes,
        )

    def build(self) -> FluxTransformer2DModel:
        """The module, with parameters on the meta device."""
        with parameters_on_meta():
            return FluxTransformer2DModel(
                patch_size=1,
                in_channels=self.in_channels,
                out_channels=self.out_channels,
                num_layers=self.double_blocks,
                num_single_layers=self.single_blocks,
                attention_head_dim=self.head_width,
                num_attention_heads=self.width // self.head_width,
                joint_attention_dim=self.text_width,
                pooled_projection_dim=self.pooled_width,
                guidance_embeds=self.guidance,
                axes_dims_rope=rotary_axes(self.head_width),
            )


def rotary_axes(head_width: int) -> tuple[int, int, int]:
    """How the rotary embedding divides a head among image, row and column: 128 is (16, 56, 56), in this proportion.

    Every part is even, as rotations need.
    """
    side = 2 * (7 * head_width // 32)
    return head_width - 2 * side, side, side


def as_diffusers(tensors: Tensors | Mapping[str, torch.Tensor], source: str) -> Pieces:
    """BFL's tensors by diffusers' names, looked up lazily; only the last modulation (two halves change places) copies.

    Works at any width and number of blocks. Names that are not BFL's stay as they are, for the check to list. Raises
    :class:`ModelKeysWrong` as :meth:`TransformerShape.of`.
    """
    shapes = shapes_of(tensors)
    shape = TransformerShape.of(shapes, source)
    where = places(shape.double_blocks, shape.single_blocks)
    pieces: dict[str, Piece] = {}
    for name, size in shapes.items():
        module, _, leaf = name.rpartition(".")
        place = where.get(module)
        if place is None or not size or leaf not in ("weight", "bias", "scale"):
            pieces[name] = Piece(name, size)
            continue
        new_leaf = "weight" if leaf == "scale" else leaf
        for target, rows in zip(place.modules, place.rows(size[0], shape.width), strict=True):
            count = size[0] if rows is None else sum(max(0, stop - start) for start, stop in rows)
            pieces[f"{target}.{new_leaf}"] = Piece(name, (count, *size[1:]), rows)
    return Pieces(tensors, pieces)


def load_transformer(
    tensors: Tensors, device: torch.device, dtype: torch.dtype, *, mapped: bool = False
) -> FluxTransformer2DModel:
    """The transformer on ``device``, computing in ``dtype``; linear layers keep the file's dtype.

    ``tensors``: in BFL's names without a prefix. On the CPU weights stay mapped and take no memory of their own;
    ``mapped`` leaves them so whatever the device, for a Denoiser to put them where it wants them. The
    norms of queries and keys are ``dtype``. ``model.config.guidance_embeds`` tells dev from schnell. Raises
    :class:`ModelKeysWrong`, which lists them, for missing, surplus and misshapen tensors, and :class:`ParamsInvalid`
    for float16 on the CPU.
    """
    refuse_half_on_cpu(device, dtype)
    converted = as_diffusers(tensors, tensors.source)
    model = TransformerShape.of(tensors.shapes, tensors.source).build()
    store_linears(model)
    stored = stored_names(model)
    assign(
        model,
        converted,
        source=tensors.source,
        device="cpu" if mapped else device,
        dtype=lambda name: None if name in stored else dtype,
    )
    return model.eval()
