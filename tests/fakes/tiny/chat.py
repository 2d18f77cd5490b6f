"""A tiny chat model in the layout of Qwen2.5's small ones: a chat template, tied embeddings, one file or shards."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tests.fakes.tiny.florence import byte_tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

from kiss3d_backend.models.files import EntryFiles

FILES = (
    "config.json",
    "model.safetensors.index.json",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
)
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_SPECIAL = {"eos_token": "<|end|>", "unk_token": "<unk>"}


def write_chat(folder: Path, *, template: str | None = TEMPLATE, sharded: bool = True, seed: int = 0) -> EntryFiles:
    """Writes the repository, bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_tokenizer(_SPECIAL, ("<|user|>", "<|assistant|>"))
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 4096, **_SPECIAL}
    _write(folder / "tokenizer_config.json", settings | ({"chat_template": template} if template else {}))
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
    )
    _write(folder / "config.json", {**config.to_dict(), "architectures": ["Qwen2ForCausalLM"]})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2ForCausalLM(config)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    state = {name: value.bfloat16() for name, value in model.state_dict().items() if name != "lm_head.weight"}
    if not sharded:
        save_file(state, folder / "model.safetensors", {"format": "pt"})
        return EntryFiles("chat", {path.name: path for path in folder.iterdir()})
    shards = [name for name in FILES if name.startswith("model-")]
    weight_map = {name: shards[number % 2] for number, name in enumerate(state)}
    for shard in shards:
        save_file({name: state[name] for name in state if weight_map[name] == shard}, folder / shard, {"format": "pt"})
    _write(folder / "model.safetensors.index.json", {"metadata": {"total_size": 0}, "weight_map": weight_map})
    return EntryFiles("chat", {file: folder / file for file in FILES})


def _write(path: Path, values: object) -> None:
    path.write_text(json.dumps(values, indent=2), encoding="utf-8")
