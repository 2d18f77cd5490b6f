"""A tiny Zero123++ v1.2 and Kiss3DGen UNet: files, names, dtypes and the UNet's depth as published; random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from kiss3d_backend.models.files import EntryFiles

TOKENS = 77
PUBLISHED_UNET: dict[str, Any] = {
    "act_fn": "silu",
    "attention_head_dim": [5, 10, 20, 20],
    "block_out_channels": [320, 640, 1280, 1280],
    "center_input_sample": False,
    "cross_attention_dim": 1024,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "downsample_padding": 1,
    "dual_cross_attention": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "out_channels": 4,
    "sample_size": 64,
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "upcast_attention": None,
    "use_linear_projection": True,
}
"""The configuration of Stable Diffusion 2.1's UNet, which Zero123++ has unchanged."""

_WIDTH = 16
_UNET = PUBLISHED_UNET | {
    "attention_head_dim": [1, 2, 2, 2],
    "block_out_channels": [8, 16, 32, 32],
    "cross_attention_dim": _WIDTH,
    "norm_num_groups": 4,
    "sample_size": 16,
}


@attrs.frozen
class Encoder:
    """Of a CLIP. ``seen``: pixels of a side that the vision encoder is given."""

    width: int = _WIDTH
    layers: int = 2
    heads: int = 2
    projection: int = _WIDTH
    tokens: int = 0
    seen: int = 28


@attrs.frozen
class Sizes:
    """Of all networks. ``channels``: of the autoencoder's levels; 2 ** (levels - 1) pixels of a side are one latent.

    Published are 4 levels, but then a picture of the published size needs large attention maps, which take long on a
    processor. ``picture_side``: what the given picture is resized to for the autoencoder.
    """

    unet: dict[str, Any] = attrs.Factory(lambda: dict(_UNET))
    channels: tuple[int, ...] = (8,) * 7
    groups: int = 4
    text: Encoder = Encoder()
    vision: Encoder = Encoder()
    picture_side: int = 512

    @classmethod
    def published(cls) -> Sizes:
        return cls(
            unet=PUBLISHED_UNET,
            channels=(128, 256, 512, 512),
            groups=32,
            text=Encoder(width=1024, layers=23, heads=16, projection=1024, tokens=49408),
            vision=Encoder(width=1280, layers=32, heads=16, projection=1024, seen=224),
        )


_SCHEDULER = {
    "_class_name": "EulerAncestralDiscreteScheduler",
    "_diffusers_version": "0.20.2",
    "beta_end": 0.012,
    "beta_schedule": "linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "linspace",
    "trained_betas": None,
}
_SPECIAL = {
    "bos_token": "<|startoftext|>",
    "eos_token": "<|endoftext|>",
    "unk_token": "<|endoftext|>",
    "pad_token": "!",
}
_LETTERS = ["!", "a", "b", "a</w>", "b</w>", "ab</w>"]
_VOCABULARY = {token: number for number, token in enumerate([*_LETTERS, "<|startoftext|>", "<|endoftext|>"])}


def write_zero123plus(
    folder: Path,
    sizes: Sizes | None = None,
    *,
    picture_side: int = 512,
    levels: int = 7,
    older: bool = False,
    seed: int = 0,
) -> EntryFiles:
    """Writes the repository.

    ``sizes``: tiny by default, with so many ``levels`` of the autoencoder and this ``picture_side``. ``older``: with
    the names of the first versions of diffusers and transformers. Networks are made on torch's default device.
    """
    sizes = sizes or Sizes(channels=(8,) * levels, picture_side=picture_side)
    _write_json(folder / "model_index.json", _index())
    _write_json(folder / "scheduler" / "scheduler_config.json", _SCHEDULER)
    _write_processors(folder, sizes)
    _write_tokenizer(folder / "tokenizer")
    networks: dict[str, tuple[torch.nn.Module, str, dict[str, Any]]] = {
        "unet": (_unet(seed, sizes), "UNet2DConditionModel", sizes.unet),
        "vae": (_random(lambda: AutoencoderKL(**vae_settings(sizes)), seed + 1), "AutoencoderKL", vae_settings(sizes)),
    }
    for name, (network, cls, configuration) in networks.items():
        (folder / name).mkdir()
        _write_json(folder / name / "config.json", {"_class_name": cls, "_diffusers_version": "0.20.2"} | configuration)
        weights = network.state_dict()
        if name == "vae":
            weights = {_older_vae_name(key) if older else key: value.half() for key, value in weights.items()}
        save_file(weights, folder / name / "diffusion_pytorch_model.safetensors", {"format": "pt"})
    _write_text_encoder(folder / "text_encoder", sizes.text, older, seed + 2)
    _write_vision_encoder(folder / "vision_encoder", sizes.vision, seed + 3)
    return entry_files("zero123plus", folder)


def write_flexgen(folder: Path, sizes: Sizes | None = None, seed: int = 4) -> EntryFiles:
    """Writes Kiss3DGen's UNet as conversion leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(flexgen_state_dict(sizes, seed), folder / "flexgen.safetensors", {"format": "pt"})
    return entry_files("multiview_unet", folder)


def flexgen_state_dict(sizes: Sizes | None = None, seed: int = 4) -> dict[str, torch.Tensor]:
    """What ``flexgen.ckpt`` holds: a plain state dict, float32."""
    return {name: tensor.contiguous() for name, tensor in _unet(seed, sizes or Sizes()).state_dict().items()}


def entry_files(entry: str, folder: Path) -> EntryFiles:
    """Every file below ``folder``."""
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return EntryFiles(entry, paths)


def _unet(seed: int, sizes: Sizes) -> UNet2DConditionModel:
    return _random(lambda: UNet2DConditionModel(**sizes.unet), seed)


def vae_settings(sizes: Sizes) -> dict[str, Any]:
    levels = len(sizes.channels)
    return {
        "act_fn": "silu",
        "block_out_channels": list(sizes.channels),
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "in_channels": 3,
        "latent_channels": 4,
        "layers_per_block": 2,
        "norm_num_groups": sizes.groups,
        "out_channels": 3,
        "sample_size": 768,
        "scaling_factor": 0.18215,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
    }


def _random(make: Any, seed: int) -> Any:
    """A module whose weights are random, those of its normalisation and biases too."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = make()
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.dim() == 1:
                    parameter += 0.2 * torch.randn_like(parameter)
    return module.eval()


def clip_text_settings(size: Encoder) -> dict[str, Any]:
    return {
        "bos_token_id": _VOCABULARY["<|startoftext|>"],
        "eos_token_id": _VOCABULARY["<|endoftext|>"],
        "hidden_act": "gelu",
        "hidden_size": size.width,
        "intermediate_size": 4 * size.width,
        "max_position_embeddings": TOKENS,
        "num_attention_heads": size.heads,
        "num_hidden_layers": size.layers,
        "pad_token_id": _VOCABULARY["!"],
        "projection_dim": size.projection,
        "vocab_size": size.tokens or len(_VOCABULARY),
    }


def _write_text_encoder(folder: Path, size: Encoder, older: bool, seed: int) -> None:
    settings = clip_text_settings(size)
    model = _random(lambda: CLIPTextModel(CLIPTextConfig(**settings)), seed)
    weights = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in model.state_dict().items()}
    weights = {name: value.half() for name, value in weights.items()}
    if older:
        weights["text_model.embeddings.position_ids"] = torch.arange(TOKENS)[None]
    _write_transformer(folder, "CLIPTextModel", "clip_text_model", settings, weights)


def clip_vision_settings(size: Encoder) -> dict[str, Any]:
    return {
        "hidden_act": "gelu",
        "hidden_size": size.width,
        "image_size": size.seen,
        "intermediate_size": 4 * size.width,
        "num_attention_heads": size.heads,
        "num_hidden_layers": size.layers,
        "patch_size": 14,
        "projection_dim": size.projection,
    }


def _write_vision_encoder(folder: Path, size: Encoder, seed: int) -> None:
    settings = clip_vision_settings(size)
    model = _random(lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**settings)), seed)
    weights = {name: value.half() for name, value in model.state_dict().items()}
    _write_transformer(folder, "CLIPVisionModelWithProjection", "clip_vision_model", settings, weights)


def _write_transformer(folder: Path, cls: str, kind: str, settings: Any, weights: dict[str, torch.Tensor]) -> None:
    folder.mkdir()
    about = {"architectures": [cls], "model_type": kind, "torch_dtype": "float16", "transformers_version": "4.32.1"}
    _write_json(folder / "config.json", about | settings)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def _write_processors(folder: Path, sizes: Sizes) -> None:
    clip = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    vae = {"image_mean": [0.5] * 3, "image_std": [0.8] * 3}
    for name, side, scale in (("clip", sizes.vision.seen, clip), ("vae", sizes.picture_side, vae)):
        configuration = {
            "crop_size": {"height": side, "width": side},
            "do_center_crop": True,
            "do_convert_rgb": True,
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "feature_extractor_type": "CLIPFeatureExtractor",
            "image_processor_type": "CLIPImageProcessor",
            "resample": 3,
            "rescale_factor": 1 / 255,
            "size": {"shortest_edge": side},
        }
        _write_json(folder / f"feature_extractor_{name}" / "preprocessor_config.json", configuration | scale)


def _write_tokenizer(folder: Path) -> None:
    described = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    special = {name: {"content": token} | described for name, token in _SPECIAL.items()} | {"pad_token": "!"}
    _write_json(folder / "special_tokens_map.json", special)
    _write_json(folder / "tokenizer_config.json", {"model_max_length": TOKENS, "tokenizer_class": "CLIPTokenizer"})
    _write_json(folder / "vocab.json", _VOCABULARY)
    (folder / "merges.txt").write_text("#version: 0.2\na b</w>\n", encoding="utf-8")


def _index() -> dict[str, Any]:
    diffusers = {
        "scheduler": "EulerAncestralDiscreteScheduler",
        "unet": "UNet2DConditionModel",
        "vae": "AutoencoderKL",
    }
    transformers = {
        "feature_extractor_clip": "CLIPImageProcessor",
        "feature_extractor_vae": "CLIPImageProcessor",
        "text_encoder": "CLIPTextModel",
        "tokenizer": "CLIPTokenizer",
        "vision_encoder": "CLIPVisionModelWithProjection",
    }
    return {
        "_class_name": "Zero123PlusPipeline",
        "_diffusers_version": "0.20.2",
        "ramping_coefficients": [0.5 + 0.01 * token for token in range(TOKENS)],
        "safety_checker": [None, None],
        **{part: ["diffusers", cls] for part, cls in diffusers.items()},
        **{part: ["transformers", cls] for part, cls in transformers.items()},
    }


def _older_vae_name(name: str) -> str:
    for new, old in (("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")):
        name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
    return name


def _write_json(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
