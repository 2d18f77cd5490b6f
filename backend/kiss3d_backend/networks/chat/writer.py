"""One instruction and one text to one answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
import torch

from kiss3d_backend.networks.interrupt import interruptible

_THOUGHTS = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)


@attrs.frozen
class Writer:
    """``model``: a causal language model of transformers. ``tokenizer``: its own."""

    model: Any
    tokenizer: Any

    def answer(self, instruction: str, text: str, most_tokens: int, check_cancelled: Callable[[], None]) -> str:
        """What the model answers to ``text`` under ``instruction``: its likeliest words, at most ``most_tokens``.

        What a model thinks aloud before its answer is left out. ``check_cancelled`` is called before every layer; what
        it raises ends the work.
        """
        inputs = self._inputs(instruction, text).to(self.model.device)
        length = inputs["input_ids"].shape[1]
        ends = self.tokenizer.pad_token_id
        ends = self.tokenizer.eos_token_id if ends is None else ends
        with torch.inference_mode(), interruptible(self.model, check_cancelled):
            tokens = self.model.generate(
                **inputs,
                do_sample=False,
                num_beams=1,
                temperature=None,
                top_p=None,
                top_k=None,
                max_new_tokens=most_tokens,
                pad_token_id=ends,
            )
        said = self.tokenizer.decode(tokens[0, length:], skip_special_tokens=True)
        return " ".join(_THOUGHTS.sub("", said).split())

    def _inputs(self, instruction: str, text: str) -> Any:
        if self.tokenizer.chat_template is None:
            return self.tokenizer(f"{instruction}\n\n{text}\n\n", return_tensors="pt", return_token_type_ids=False)
        # Not every template has a system's part.
        messages = [{"role": "user", "content": f"{instruction}\n\n{text}"}]
        return self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
