"""The tokenizer from its vocabulary and merges, as CLIP's files hold them."""

from __future__ import annotations

from typing import Any

from transformers import CLIPTokenizer

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.zero123.configuration import read_json
from kiss3d_protocol.errors import ModelFileCorrupt

_TOKENS = ("unk_token", "bos_token", "eos_token", "pad_token")


def read_tokenizer(files: EntryFiles) -> CLIPTokenizer:
    """From the folder ``tokenizer`` of the repository.

    Raises :class:`ModelFileMissing`, and :class:`ModelFileCorrupt` for merges that are not pairs.
    """
    vocabulary = read_json(files, "tokenizer/vocab.json")
    # The first line of a file of merges says its version.
    lines = files.path("tokenizer/merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    merges: list[Any] = [tuple(line.split(" ")) for line in lines if line]
    if not all(len(pair) == 2 for pair in merges):
        raise ModelFileCorrupt(f"The file tokenizer/merges.txt of the model '{files.entry}' does not hold pairs.")
    special = read_json(files, "tokenizer/special_tokens_map.json")
    tokens = {name: _content(special[name]) for name in _TOKENS if name in special}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, **tokens)


def _content(token: Any) -> str:
    """Of a special token, which is a text or an object that says more about it."""
    return str(token["content"] if isinstance(token, dict) else token)
