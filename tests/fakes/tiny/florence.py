"""A tiny Florence-2 in the layout of florence-community/Florence-2-large-ft: its files, tensor names and dtype."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import Florence2Config, Florence2ForConditionalGeneration

from kiss3d_backend.models.files import EntryFiles

SIDE = 64
FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
WORDS = ("red", "blue", "round", "square", "chair", "lamp")
_SPECIAL = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}


@attrs.frozen
class Size:
    """``side``: pixels of the picture. ``tokens``: None for those of the tokenizer. ``caption``: from so many tokens on
    the end becomes likelier with each one, as random weights would never end a caption; None leaves it to them."""

    side: int = SIDE
    width: int = 16
    layers: int = 2
    heads: int = 2
    mlp: int = 32
    tokens: int | None = None
    depths: tuple[int, ...] = (1, 1)
    embedded: tuple[int, ...] = (8, 16)
    vision_heads: tuple[int, ...] = (2, 2)
    window: int = 4
    spread: float = 0.3
    caption: int | None = None

    @classmethod
    def published(cls) -> Size:
        """Of Florence-2-large-ft (https://huggingface.co/florence-community/Florence-2-large-ft)."""
        return cls(
            side=768,
            width=1024,
            layers=12,
            heads=16,
            mlp=4096,
            tokens=51289,
            depths=(1, 1, 9, 1),
            embedded=(256, 512, 1024, 2048),
            vision_heads=(8, 16, 32, 64),
            window=12,
            spread=0.02,
            caption=100,
        )

    @property
    def grid(self) -> int:
        """Of the image's last map; each level after the first halves it."""
        return self.side // (4 * 2 ** (len(self.depths) - 1))


def byte_tokenizer(special: dict[str, str], more: tuple[str, ...] = ()) -> Tokenizer:
    """Byte-level BPE like GPT-2's, with merges for :data:`WORDS` alone; ``special`` tokens have the first numbers."""
    vocabulary = list(dict.fromkeys([*special.values(), *sorted(pre_tokenizers.ByteLevel.alphabet())]))
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        left = "Ġ"
        for letter in word:
            if left + letter not in vocabulary:
                merges.append((left, letter))
                vocabulary.append(left + letter)
            left += letter
    numbers = {token: number for number, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.BPE(vocab=numbers, merges=merges, unk_token=special["unk_token"]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([*special.values(), *more])
    return tokenizer


def write_florence(folder: Path, size: Size | None = None, *, seed: int = 0) -> EntryFiles:
    """Writes the repository: float16 weights without the tied copies, as published; ``size``: tiny by default. The
    network is made on torch's default device."""
    size = size or Size()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_tokenizer(_SPECIAL, ("<mask>", "<loc_0>", "<image>"))
    numbers = {token: tokenizer.token_to_id(token) for token in ("<s>", "</s>", "<image>")}
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", numbers["</s>"]), ("<s>", numbers["<s>"]), add_prefix_space=False
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "BartTokenizer",
            "model_max_length": 1024,
            **_SPECIAL,
            "cls_token": "<s>",
            "sep_token": "</s>",
            "mask_token": "<mask>",
            "extra_special_tokens": {"image_token": "<image>"},
        },
    )
    _write(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "CLIPImageProcessor",
            "processor_class": "Florence2Processor",
            "do_center_crop": False,
            "do_convert_rgb": None,
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225],
            "image_seq_length": size.grid**2 + 1,
            "resample": 3,
            "rescale_factor": 1 / 255,
            "size": {"height": size.side, "width": size.side},
            "crop_size": {"height": size.side, "width": size.side},
        },
    )
    config = florence_config(size, tokenizer.get_vocab_size(), numbers["<image>"])
    _write(folder / "config.json", {**config.to_dict(), "architectures": ["Florence2ForConditionalGeneration"]})
    _write(
        folder / "generation_config.json",
        {
            "bos_token_id": 0,
            "decoder_start_token_id": 2,
            "early_stopping": True,
            "eos_token_id": 2,
            "forced_bos_token_id": 0,
            "forced_eos_token_id": 2,
            "no_repeat_ngram_size": 3,
            "num_beams": 3,
            "pad_token_id": 1,
            **({"exponential_decay_length_penalty": [size.caption, 1.5]} if size.caption else {}),
        },
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Florence2ForConditionalGeneration(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=size.spread)
    state = {name: value.half() for name, value in model.state_dict().items() if value.is_floating_point()}
    for tied in ("lm_head", "model.language_model.encoder.embed_tokens", "model.language_model.decoder.embed_tokens"):
        del state[f"{tied}.weight"]
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    return EntryFiles("florence2", {file: folder / file for file in FILES})


def florence_config(size: Size, vocabulary: int, image_token: int) -> Florence2Config:
    """``vocabulary``: of the tokenizer. ``image_token``: its number of ``<image>``."""
    text = {
        "model_type": "bart",
        "d_model": size.width,
        "encoder_layers": size.layers,
        "decoder_layers": size.layers,
        "encoder_attention_heads": size.heads,
        "decoder_attention_heads": size.heads,
        "encoder_ffn_dim": size.mlp,
        "decoder_ffn_dim": size.mlp,
        "vocab_size": size.tokens or vocabulary,
        "max_position_embeddings": 1024,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
        "forced_bos_token_id": 0,
        "forced_eos_token_id": 2,
    }
    later = len(size.depths) - 1
    vision = {
        "depths": list(size.depths),
        "patch_size": [7, *[3] * later],
        "patch_stride": [4, *[2] * later],
        "patch_padding": [3, *[1] * later],
        "patch_prenorm": [False, *[True] * later],
        "embed_dim": list(size.embedded),
        "num_heads": list(size.vision_heads),
        "num_groups": list(size.vision_heads),
        "window_size": size.window,
        "projection_dim": size.width,
    }
    return Florence2Config(vision_config=vision, text_config=text, image_token_id=image_token)


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2), encoding="utf-8")
