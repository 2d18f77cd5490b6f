"""FLUX's files in the published layouts: names, prefixes and dtypes as on the hub, random weights, any width.

The names of the original layout are written down here once more, from its modules, and not taken from the converter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import attrs
import torch
from safetensors.torch import save_file
from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer, T5Tokenizer

from kiss3d_backend.models.files import EntryFiles

Shapes = dict[str, tuple[int, ...]]
Arrange = Callable[[dict[str, torch.Tensor]], None]

FP8 = torch.float8_e4m3fn
SINGLE_FILE = "flux1-dev-fp8.safetensors"


@attrs.frozen
class Size:
    """Of all networks together. ``levels``: channels of the autoencoder's levels, multiples of 32 or of the least."""

    width: int = 64
    head: int = 32
    double: int = 2
    single: int = 2
    latents: int = 4
    text: int = 32
    pooled: int = 64
    clip_layers: int = 2
    clip_mlp: int = 128
    clip_tokens: int = 1024
    t5_layers: int = 2
    t5_heads: int = 2
    t5_head: int = 16
    t5_mlp: int = 64
    t5_tokens: int = 256
    levels: tuple[int, ...] = (32, 32)
    residuals: int = 1

    @classmethod
    def published(cls) -> Size:
        return cls(
            width=3072,
            head=128,
            double=19,
            single=38,
            latents=16,
            text=4096,
            pooled=768,
            clip_layers=12,
            clip_mlp=3072,
            clip_tokens=49408,
            t5_layers=24,
            t5_heads=64,
            t5_head=64,
            t5_mlp=10240,
            t5_tokens=32128,
            levels=(128, 256, 512, 512),
            residuals=2,
        )


def _linear(shapes: Shapes, name: str, out: int, wide: int, bias: bool = True) -> None:
    shapes[f"{name}.weight"] = (out, wide)
    if bias:
        shapes[f"{name}.bias"] = (out,)


def transformer_shapes(size: Size, guidance: bool = True) -> Shapes:
    """Of the transformer in Black Forest Labs' names."""
    shapes: Shapes = {}
    width = size.width
    _linear(shapes, "img_in", width, 4 * size.latents)
    _linear(shapes, "txt_in", width, size.text)
    for name, wide in (("time_in", 256), ("vector_in", size.pooled)) + ((("guidance_in", 256),) if guidance else ()):
        _linear(shapes, f"{name}.in_layer", width, wide)
        _linear(shapes, f"{name}.out_layer", width, width)
    for n in range(size.double):
        for stream in ("img", "txt"):
            block = f"double_blocks.{n}.{stream}"
            _linear(shapes, f"{block}_mod.lin", 6 * width, width)
            _linear(shapes, f"{block}_attn.qkv", 3 * width, width)
            shapes[f"{block}_attn.norm.query_norm.scale"] = (size.head,)
            shapes[f"{block}_attn.norm.key_norm.scale"] = (size.head,)
            _linear(shapes, f"{block}_attn.proj", width, width)
            _linear(shapes, f"{block}_mlp.0", 4 * width, width)
            _linear(shapes, f"{block}_mlp.2", width, 4 * width)
    for n in range(size.single):
        block = f"single_blocks.{n}"
        _linear(shapes, f"{block}.modulation.lin", 3 * width, width)
        _linear(shapes, f"{block}.linear1", 7 * width, width)
        shapes[f"{block}.norm.query_norm.scale"] = (size.head,)
        shapes[f"{block}.norm.key_norm.scale"] = (size.head,)
        _linear(shapes, f"{block}.linear2", width, 5 * width)
    _linear(shapes, "final_layer.linear", 4 * size.latents, width)
    _linear(shapes, "final_layer.adaLN_modulation.1", 2 * width, width)
    return shapes


def clip_shapes(size: Size) -> Shapes:
    shapes: Shapes = {"text_projection.weight": (size.pooled, size.pooled)}
    shapes["text_model.embeddings.token_embedding.weight"] = (size.clip_tokens, size.pooled)
    shapes["text_model.embeddings.position_embedding.weight"] = (77, size.pooled)
    for n in range(size.clip_layers):
        layer = f"text_model.encoder.layers.{n}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            _linear(shapes, f"{layer}.self_attn.{name}", size.pooled, size.pooled)
        _linear(shapes, f"{layer}.mlp.fc1", size.clip_mlp, size.pooled)
        _linear(shapes, f"{layer}.mlp.fc2", size.pooled, size.clip_mlp)
        for name in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{layer}.{name}.weight": (size.pooled,), f"{layer}.{name}.bias": (size.pooled,)}
    norm = "text_model.final_layer_norm"
    return shapes | {f"{norm}.weight": (size.pooled,), f"{norm}.bias": (size.pooled,)}


def t5_shapes(size: Size) -> Shapes:
    """Without ``encoder.embed_tokens``, which is ``shared``."""
    inner = size.t5_heads * size.t5_head
    shapes: Shapes = {"shared.weight": (size.t5_tokens, size.text), "encoder.final_layer_norm.weight": (size.text,)}
    shapes["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = (32, size.t5_heads)
    for n in range(size.t5_layers):
        layer = f"encoder.block.{n}.layer"
        for name in "qkv":
            shapes[f"{layer}.0.SelfAttention.{name}.weight"] = (inner, size.text)
        shapes[f"{layer}.0.SelfAttention.o.weight"] = (size.text, inner)
        shapes[f"{layer}.0.layer_norm.weight"] = (size.text,)
        shapes[f"{layer}.1.DenseReluDense.wi_0.weight"] = (size.t5_mlp, size.text)
        shapes[f"{layer}.1.DenseReluDense.wi_1.weight"] = (size.t5_mlp, size.text)
        shapes[f"{layer}.1.DenseReluDense.wo.weight"] = (size.text, size.t5_mlp)
        shapes[f"{layer}.1.layer_norm.weight"] = (size.text,)
    return shapes


def vae_shapes(size: Size) -> Shapes:
    shapes: Shapes = {}

    def convolution(name: str, out: int, wide: int, kernel: int = 3) -> None:
        shapes.update({f"{name}.weight": (out, wide, kernel, kernel), f"{name}.bias": (out,)})

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.weight": (channels,), f"{name}.bias": (channels,)})

    def residual(name: str, wide: int, out: int) -> None:
        norm(f"{name}.norm1", wide)
        convolution(f"{name}.conv1", out, wide)
        norm(f"{name}.norm2", out)
        convolution(f"{name}.conv2", out, out)
        if wide != out:
            convolution(f"{name}.nin_shortcut", out, wide, 1)

    def middle(name: str, channels: int) -> None:
        residual(f"{name}.block_1", channels, channels)
        norm(f"{name}.attn_1.norm", channels)
        for part in ("q", "k", "v", "proj_out"):
            convolution(f"{name}.attn_1.{part}", channels, channels, 1)
        residual(f"{name}.block_2", channels, channels)

    levels = size.levels
    convolution("encoder.conv_in", levels[0], 3)
    channels = levels[0]
    for n, out in enumerate(levels):
        for block in range(size.residuals):
            residual(f"encoder.down.{n}.block.{block}", channels, out)
            channels = out
        if n + 1 < len(levels):
            convolution(f"encoder.down.{n}.downsample.conv", out, out)
    middle("encoder.mid", channels)
    norm("encoder.norm_out", channels)
    convolution("encoder.conv_out", 2 * size.latents, channels)
    convolution("decoder.conv_in", channels, size.latents)
    middle("decoder.mid", channels)
    for n, out in reversed(list(enumerate(levels))):
        for block in range(size.residuals + 1):
            residual(f"decoder.up.{n}.block.{block}", channels, out)
            channels = out
        if n:
            convolution(f"decoder.up.{n}.upsample.conv", out, out)
    norm("decoder.norm_out", channels)
    convolution("decoder.conv_out", 3, channels)
    return shapes


def file_layout(size: Size, guidance: bool = True) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Every tensor of the single file with its shape and dtype."""
    layout: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
        "text_encoders.clip_l.logit_scale": ((), torch.float32),
        "text_encoders.t5xxl.logit_scale": ((), torch.float32),
    }
    for prefix, shapes, dtype in (
        ("model.diffusion_model.", transformer_shapes(size, guidance), FP8),
        ("text_encoders.clip_l.transformer.", clip_shapes(size), torch.float16),
        ("text_encoders.t5xxl.transformer.", t5_shapes(size), FP8),
        ("vae.", vae_shapes(size), torch.float32),
    ):
        layout |= {prefix + name: (shape, dtype) for name, shape in shapes.items()}
    return layout


def random_tensors(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Float32: norms near 1, matrices that keep the size of what goes through them, small biases."""
    generator = torch.Generator().manual_seed(seed)

    def one(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        values = torch.randn(shape, generator=generator)
        if "norm" in name and name.endswith(("weight", "scale")) and len(shape) == 1:
            return 1 + 0.1 * values
        if len(shape) < 2:
            return 0.1 * values
        wide = values[0].numel()
        return values if name.endswith(("embedding.weight", "shared.weight")) else values / wide**0.5

    return {name: one(name, shape) for name, shape in shapes.items()}


def single_file_tensors(
    size: Size, guidance: bool = True, seed: int = 0, arrange: Arrange | None = None
) -> dict[str, torch.Tensor]:
    """``arrange``: changes the random float32 tensors in place before they are stored."""
    layout = file_layout(size, guidance)
    values = random_tensors({name: shape for name, (shape, _) in layout.items()}, seed)
    if arrange is not None:
        arrange(values)
    return {name: value.to(layout[name][1]) for name, value in values.items()}


def write_single_file(
    folder: Path, size: Size | None = None, *, guidance: bool = True, seed: int = 0, arrange: Arrange | None = None
) -> EntryFiles:
    """The fp8 file with everything; ``guidance`` for dev, without it for schnell. ``arrange``: as for
    :func:`single_file_tensors`."""
    size = size or Size()
    name = SINGLE_FILE if guidance else "flux1-schnell-fp8.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(single_file_tensors(size, guidance, seed, arrange), folder / name)
    return EntryFiles("flux_dev_fp8" if guidance else "flux_schnell_fp8", {name: folder / name})


def write_transformer_file(folder: Path, size: Size | None = None, *, guidance: bool = True) -> EntryFiles:
    """Kijai's file: the same transformer as in the single file, without a prefix."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = "model.diffusion_model."
    tensors = {
        name.removeprefix(prefix): value
        for name, value in single_file_tensors(size or Size(), guidance).items()
        if name.startswith(prefix)
    }
    path = folder / "flux1-dev-fp8-e4m3fn.safetensors"
    save_file(tensors, path)
    return EntryFiles("flux_transformer", {path.name: path})


KOHYA_LAYERS = (
    "double_blocks.0.img_attn.qkv",
    "double_blocks.1.txt_attn.qkv",
    "double_blocks.0.txt_mlp.2",
    "double_blocks.1.img_mod.lin",
    "single_blocks.0.linear1",
    "single_blocks.1.linear2",
    "final_layer.adaLN_modulation.1",
)


def kohya_lora(size: Size, rank: int = 3, alpha: float = 1.5, seed: int = 5) -> dict[str, torch.Tensor]:
    """In kohya's names, with an alpha for each layer."""
    shapes = transformer_shapes(size)
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for layer in KOHYA_LAYERS:
        out, wide = shapes[f"{layer}.weight"]
        name = "lora_unet_" + layer.replace(".", "_")
        tensors[f"{name}.lora_down.weight"] = torch.randn(rank, wide, generator=generator).to(torch.bfloat16) / 8
        tensors[f"{name}.lora_up.weight"] = torch.randn(out, rank, generator=generator).to(torch.bfloat16) / 8
        tensors[f"{name}.alpha"] = torch.tensor(alpha)
    return tensors


def write_kohya_lora(folder: Path, size: Size | None = None, name: str = "rgb_normal.safetensors") -> EntryFiles:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(kohya_lora(size or Size()), folder / name)
    return EntryFiles("kiss3dgen_lora", {name: folder / name})


def peft_lora(size: Size, rank: int = 4, seed: int = 6, prefix: str = "transformer.") -> dict[str, torch.Tensor]:
    """In diffusers' names, as PEFT saves them."""
    width = size.width
    layers = {
        "transformer_blocks.0.attn.to_q": (width, width),
        "transformer_blocks.1.attn.add_k_proj": (width, width),
        "transformer_blocks.0.ff.net.0.proj": (4 * width, width),
        "transformer_blocks.1.norm1_context.linear": (6 * width, width),
        "single_transformer_blocks.0.proj_mlp": (4 * width, width),
        "single_transformer_blocks.1.proj_out": (width, 5 * width),
        "proj_out": (4 * size.latents, width),
    }
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for layer, (out, wide) in layers.items():
        tensors[f"{prefix}{layer}.lora_A.weight"] = torch.randn(rank, wide, generator=generator).to(torch.bfloat16) / 8
        tensors[f"{prefix}{layer}.lora_B.weight"] = torch.randn(out, rank, generator=generator).to(torch.bfloat16) / 8
    return tensors


def write_peft_lora(folder: Path, size: Size | None = None, alpha: float | None = None) -> EntryFiles:
    """``alpha``: in the metadata, as diffusers writes PEFT's settings; None writes none."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "diffusion_pytorch_model.safetensors"
    settings = None if alpha is None else {"transformer.r": 4, "transformer.lora_alpha": alpha}
    save_file(
        peft_lora(size or Size()), path, None if settings is None else {"lora_adapter_metadata": json.dumps(settings)}
    )
    return EntryFiles("flux_turbo_lora", {path.name: path})


def write_controlnet(folder: Path, size: Size | None = None, seed: int = 7) -> EntryFiles:
    """InstantX's Union ControlNet: diffusers' names in bfloat16, none of its layers zero."""
    from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel

    from kiss3d_backend.networks.flux.controlnet import quiet_construction

    size = size or Size()
    with quiet_construction():
        network = FluxControlNetModel(
            in_channels=4 * size.latents,
            num_layers=1,
            num_single_layers=2,
            attention_head_dim=size.head,
            num_attention_heads=size.width // size.head,
            joint_attention_dim=size.text,
            pooled_projection_dim=size.pooled,
            guidance_embeds=True,
            axes_dims_rope=[size.head // 8, 7 * size.head // 16, 7 * size.head // 16],
            num_mode=10,
        )
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.to(torch.bfloat16) for name, value in random_tensors(shapes, seed).items()}
    save_file(tensors, folder / "diffusion_pytorch_model.safetensors")
    (folder / "config.json").write_text(json.dumps(dict(network.config)), encoding="utf-8")
    return EntryFiles("controlnet_union", {path.name: path for path in folder.iterdir()})


def write_redux(folder: Path, size: Size | None = None, seed: int = 8) -> EntryFiles:
    """Redux: SigLIP under ``vision_model.`` and the embedder, in bfloat16; pictures of 28 pixels in patches of 14."""
    from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder
    from transformers import SiglipVisionConfig, SiglipVisionModel

    size = size or Size()
    config = SiglipVisionConfig(
        hidden_size=72,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=1,
        image_size=28,
        patch_size=14,
        hidden_act="gelu_pytorch_tanh",
    )
    encoder, embedder = SiglipVisionModel(config), ReduxImageEncoder(redux_dim=72, txt_in_features=size.text)
    paths: dict[str, Path] = {}
    for n, (name, module, prefix) in enumerate(
        (
            ("image_encoder/model.safetensors", encoder, "vision_model."),
            ("image_embedder/diffusion_pytorch_model.safetensors", embedder, ""),
        )
    ):
        path = paths[name] = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shapes = {prefix + key: tuple(value.shape) for key, value in module.state_dict().items()}
        save_file({key: value.to(torch.bfloat16) for key, value in random_tensors(shapes, seed + n).items()}, path)
    return EntryFiles("redux", paths)


def write_clip_tokenizer(folder: Path) -> EntryFiles:
    """CLIP's own class over bytes and a few merges; the end token has the highest number, as in the published one."""
    alphabet = sorted(ByteLevel.alphabet())
    merges = [("a", "n"), ("t", "h"), ("th", "e</w>"), ("v", "i"), ("e", "w</w>"), ("vi", "ew</w>")]
    tokens = [*alphabet, *(f"{sign}</w>" for sign in alphabet), *("".join(pair) for pair in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77).save_pretrained(folder)
    return EntryFiles("clip_tokenizer", {"tokenizer.json": folder / "tokenizer.json"})


def write_t5_tokenizer(folder: Path) -> EntryFiles:
    """T5's own class over letters and a few words, without sentinels."""
    words = ["\u2581a", "\u2581of", "\u2581the", "\u2581grid", "\u2581view", "\u2581white", "ing", "er"]
    letters = [chr(code) for code in range(33, 127)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces += [(word, -3.0) for word in words] + [(letter, -5.0) for letter in letters]
    T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=512).save_pretrained(folder)
    return EntryFiles("t5_tokenizer", {"tokenizer.json": folder / "tokenizer.json"})
