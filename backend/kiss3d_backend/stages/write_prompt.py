"""A caption or a user's few words, rewritten as a prompt."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from kiss3d_backend.pipeline.stage import Stage, StageContext

if TYPE_CHECKING:
    from kiss3d_backend.networks.chat.writer import Writer

MOST_TOKENS = 256
MOST_CHARACTERS = 1200
"""About 300 tokens of T5, of the 512 that FLUX reads."""

INSTRUCTION = (
    "Rewrite the following text as a prompt for an image generator that draws one single object. "
    "Describe its shape, parts, materials and colours in one paragraph of at most 120 words. "
    "Keep everything that the text says about the object, and leave out backgrounds, cameras and people's opinions. "
    "Answer with the paragraph alone."
)


class WritePrompt(Stage[str, str]):
    """At most 1200 characters, ending with a whole sentence where there is one.

    ``writer``: gets the network. ``weights``: what tells one set of weights from another, for the fingerprint. Warns
    ``prompt.not_written``, and keeps the text as it is, when the model answers nothing.
    """

    name = "prompt"
    title = "Writing the prompt"
    weight = 4.0
    kept = True

    def __init__(self, writer: Callable[[], Writer], weights: str = "") -> None:
        self.writer = writer
        self.weights = weights

    def fingerprint(self) -> str:
        return self.weights

    def run(self, value: str, context: StageContext) -> str:
        written = self.writer().answer(INSTRUCTION, value, MOST_TOKENS, context.check_cancelled)
        if not any(character.isalnum() for character in written):
            context.warn(
                "prompt.not_written",
                "The prompt writer answered nothing; the text is used as it is.",
                "Choose another chat model, or switch the prompt writer off.",
            )
            return value
        return bounded(written)


def bounded(text: str) -> str:
    """``text``, or its first sentences or words that are no longer than 1200 characters together."""
    if len(text) <= MOST_CHARACTERS:
        return text
    cut = text[:MOST_CHARACTERS]
    sentences = re.match(r".*[.!?](?=\s)", text[: MOST_CHARACTERS + 1], re.DOTALL)
    if sentences is not None:
        return sentences.group()
    return cut.rpartition(" ")[0] or cut
