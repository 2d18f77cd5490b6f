"""A prompt as the transformer reads it: CLIP's pooled state of a short text, T5's states of a long one."""

from __future__ import annotations

import attrs
import torch
from transformers import CLIPTextModel, PreTrainedTokenizerFast, T5EncoderModel

from kiss3d_backend.models.files import EntryFiles
from kiss3d_protocol.errors import ModelFileCorrupt

CLIP_TOKENS = 77
MOST_T5_TOKENS = 512


@attrs.frozen(eq=False)
class PromptEmbeddings:
    """``tokens``: (1, T, text width), ``pooled``: (1, pooled width), both in the transformer's compute dtype."""

    tokens: torch.Tensor
    pooled: torch.Tensor


@attrs.frozen(eq=False)
class PromptEncoder:
    """Both encoders with their tokenizers, on one device. Drop it when the prompts are encoded.

    ``target``: the device that the embeddings are put on; None leaves them where they were made.
    """

    clip: CLIPTextModel
    clip_tokenizer: PreTrainedTokenizerFast
    t5: T5EncoderModel
    t5_tokenizer: PreTrainedTokenizerFast
    target: torch.device | None = None

    @torch.inference_mode()
    def encode(self, prompt: str, long_prompt: str, dtype: torch.dtype, most_tokens: int) -> PromptEmbeddings:
        """``prompt`` through CLIP, ``long_prompt`` through T5, cut or padded to 77 and ``most_tokens`` tokens."""
        pooled = self.clip(self._numbers(self.clip_tokenizer, prompt, CLIP_TOKENS)).pooler_output
        tokens = self.t5(self._numbers(self.t5_tokenizer, long_prompt, most_tokens)).last_hidden_state
        target = self.target or tokens.device
        return PromptEmbeddings(tokens.to(target, dtype), pooled.to(target, dtype))

    def _numbers(self, tokenizer: PreTrainedTokenizerFast, text: str, count: int) -> torch.Tensor:
        tokens = tokenizer(text, padding="max_length", max_length=count, truncation=True, return_tensors="pt")
        return tokens["input_ids"].to(next(self.clip.parameters()).device)


def read_clip_tokenizer(files: EntryFiles) -> PreTrainedTokenizerFast:
    """From ``tokenizer.json`` of openai/clip-vit-large-patch14 or its like. Raises as :func:`read_t5_tokenizer`."""
    return _read(files, pad="<|endoftext|>", eos="<|endoftext|>", most=CLIP_TOKENS)


def read_t5_tokenizer(files: EntryFiles) -> PreTrainedTokenizerFast:
    """From ``tokenizer.json`` of any T5. Raises :class:`ModelFileMissing` and :class:`ModelFileCorrupt`."""
    return _read(files, pad="<pad>", eos="</s>", most=MOST_T5_TOKENS)


def _read(files: EntryFiles, *, pad: str, eos: str, most: int) -> PreTrainedTokenizerFast:
    path = files.path("tokenizer.json")
    try:
        # Its vocabulary and its rules are all in the one file; tokenizers raises plain Exception for a bad one.
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(path), pad_token=pad, eos_token=eos, model_max_length=most, padding_side="right"
        )
    except Exception as error:
        raise ModelFileCorrupt(f"The file {path} of the model '{files.entry}' is not a tokenizer ({error}).") from error
    vocabulary = tokenizer.get_vocab()
    if len(tokenizer) != len(vocabulary) or tokenizer.convert_tokens_to_ids(pad) is None:
        raise ModelFileCorrupt(f"The tokenizer {path} of the model '{files.entry}' lacks the token {pad}.")
    return tokenizer
