"""The numbers of FLUX.1's transformer, and how many parameters follow from them. No torch.

Source: the published checkpoint's shapes (https://huggingface.co/black-forest-labs/FLUX.1-dev); a test counts the
parameters of the module itself.
"""

from __future__ import annotations

from attrs import frozen

NORM_WIDTH = 256
"""Of the sinusoids that times and guidance are written in."""


@frozen
class FluxShape:
    """``guided``: dev has the embedding of the guidance, schnell has not."""

    width: int = 3072
    head_width: int = 128
    double_blocks: int = 19
    single_blocks: int = 38
    channels: int = 64
    text_width: int = 4096
    pooled_width: int = 768
    guided: bool = True

    @property
    def double_block(self) -> int:
        """Parameters of one: for each of two streams the modulation (6 d), query, key, value, output and an MLP of 4 d,
        with biases, and the norms of queries and keys."""
        d = self.width
        return 2 * (6 * d * d + 4 * d * d + 8 * d * d + (6 + 4 + 5) * d + 2 * self.head_width)

    @property
    def single_block(self) -> int:
        """Parameters of one: modulation (3 d), query, key, value, an MLP of 4 d whose output joins attention's."""
        d = self.width
        return 3 * d * d + 3 * d * d + 4 * d * d + 5 * d * d + (3 + 3 + 4 + 1) * d + 2 * self.head_width

    @property
    def outside_blocks(self) -> int:
        """Parameters of the embeddings and of the last layer."""
        d = self.width
        embedded = (NORM_WIDTH * d + d + d * d + d) * (2 if self.guided else 1)
        pooled = self.pooled_width * d + d + d * d + d
        last = 2 * d * d + 2 * d + d * self.channels + self.channels
        return self.channels * d + d + self.text_width * d + d + embedded + pooled + last

    @property
    def blocks(self) -> tuple[int, ...]:
        """Parameters of each block, the double ones first."""
        return (self.double_block,) * self.double_blocks + (self.single_block,) * self.single_blocks

    @property
    def parameters(self) -> int:
        return sum(self.blocks) + self.outside_blocks
