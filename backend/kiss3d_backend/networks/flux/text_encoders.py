"""FLUX's two text encoders from the single file: CLIP widened, T5 in the file's float8.

Their settings are published (https://huggingface.co/openai/clip-vit-large-patch14, google/t5-v1_1-xxl); what differs
between sizes follows from the tensors' shapes.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel
from transformers.models.t5.modeling_t5 import T5DenseGatedActDense

from kiss3d_backend.networks.checkpoint import Tensors, assign, parameters_on_meta
from kiss3d_backend.networks.checkpoint.keys import Shape
from kiss3d_backend.networks.flux.bfl_names import count_blocks
from kiss3d_backend.networks.flux.stored_layers import StoredEmbedding, StoredLinear, store_linears, stored_names
from kiss3d_backend.networks.precision import refuse_half_on_cpu
from kiss3d_protocol.errors import ModelKeysWrong

_CLIP_HEAD_WIDTH = 64
_CLIP_UNUSED = ("text_projection.weight", "text_model.embeddings.position_ids")
"""Some exports of CLIP carry them; FLUX reads the pooled state before the projection."""


def load_clip(tensors: Tensors, device: torch.device, dtype: torch.dtype) -> CLIPTextModel:
    """CLIP's text half in ``dtype``; ``tensors`` by transformers' older names (``text_model.``...).

    Raises :class:`ModelKeysWrong`, and :class:`ParamsInvalid` for float16 on the CPU.
    """
    refuse_half_on_cpu(device, dtype)
    wanted = tensors.where(lambda name: name not in _CLIP_UNUSED).renamed(lambda name: name.removeprefix("text_model."))
    shapes = wanted.shapes
    vocabulary, width = _matrix(shapes, "embeddings.token_embedding.weight", wanted.source)
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=_matrix(shapes, "encoder.layers.0.mlp.fc1.weight", wanted.source)[0],
        num_hidden_layers=count_blocks(shapes, "encoder.layers."),
        num_attention_heads=max(1, width // _CLIP_HEAD_WIDTH),
        max_position_embeddings=_matrix(shapes, "embeddings.position_embedding.weight", wanted.source)[0],
        hidden_act="quick_gelu",
        layer_norm_eps=1e-5,
        # The published values: with 2 the pooled state is that of the highest token number, which is the end's.
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
    )
    with parameters_on_meta():
        model = CLIPTextModel(config)
    assign(model, wanted, source=wanted.source, device=device, dtype=dtype)
    return model.eval()


class GatedFeedForward(nn.Module):
    """T5's feed-forward layer, whose last product is done in float32: its sums overflow or drown in half precision.

    transformers' own casts its activations to the dtype of the stored weight, which fails for float8.
    """

    def __init__(self, gate: nn.Module, value: nn.Module, output: nn.Module) -> None:
        super().__init__()
        assert isinstance(output, StoredLinear)
        output.compute_dtype = torch.float32
        self.wi_0, self.wi_1, self.wo = gate, value, output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.wo(functional.gelu(self.wi_0(x), approximate="tanh") * self.wi_1(x))


def load_t5(tensors: Tensors, device: torch.device, dtype: torch.dtype) -> T5EncoderModel:
    """T5's encoder: linear layers and the table of tokens keep the file's dtype, the rest is ``dtype``.

    The table is the encoder's too (the file has it once, as ``shared``). Raises :class:`ModelKeysWrong`, and
    :class:`ParamsInvalid` for float16 on the CPU.
    """
    refuse_half_on_cpu(device, dtype)
    shapes, source = tensors.shapes, tensors.source
    vocabulary, width = _matrix(shapes, "shared.weight", source)
    first = "encoder.block.0.layer."
    buckets, heads = _matrix(shapes, f"{first}0.SelfAttention.relative_attention_bias.weight", source)
    config = T5Config(
        vocab_size=vocabulary,
        d_model=width,
        d_kv=max(1, _matrix(shapes, f"{first}0.SelfAttention.q.weight", source)[0] // max(1, heads)),
        d_ff=_matrix(shapes, f"{first}1.DenseReluDense.wi_0.weight", source)[0],
        num_layers=count_blocks(shapes, "encoder.block."),
        num_heads=heads,
        relative_attention_num_buckets=buckets,
        relative_attention_max_distance=128,
        feed_forward_proj="gated-gelu",
        layer_norm_epsilon=1e-6,
        is_encoder_decoder=False,
        use_cache=False,
    )
    with parameters_on_meta():
        model = T5EncoderModel(config)
    store_linears(model)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, T5DenseGatedActDense):
            ours = GatedFeedForward(*(layer.get_submodule(part) for part in ("wi_0", "wi_1", "wo")))
            model.set_submodule(name, ours)
    table = StoredEmbedding(model.shared.get_parameter("weight"), dtype)
    model.set_submodule("shared", table)
    model.set_submodule("encoder.embed_tokens", table)
    stored = stored_names(model)
    assign(model, tensors, source=source, device=device, dtype=lambda name: None if name in stored else dtype)
    return model.eval()


def _matrix(shapes: dict[str, Shape], name: str, source: str) -> tuple[int, int]:
    shape = shapes.get(name, ())
    if len(shape) != 2:
        raise ModelKeysWrong(f"{source} does not hold this text encoder: it lacks the matrix {name}.")
    return shape[0], shape[1]
