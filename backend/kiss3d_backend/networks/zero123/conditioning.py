"""What the network is told about the picture: text embeddings that the picture's CLIP embedding is mixed into.

The prompt is empty. The image embedding is added to every one of its token embeddings, weighted by the ramp, one number
for each token, that comes with the weights (arXiv 2310.15110, section 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import CLIPImageProcessorPil, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection


class Conditioner:
    """``ramp``: one weight for each of the L tokens of a padded prompt."""

    def __init__(
        self,
        tokenizer: CLIPTokenizer,
        text_encoder: CLIPTextModel,
        vision_encoder: CLIPVisionModelWithProjection,
        image_processor: CLIPImageProcessorPil,
        ramp: Sequence[float],
    ) -> None:
        self._tokenizer = tokenizer
        self._text_encoder = text_encoder
        self._vision_encoder = vision_encoder
        self._image_processor = image_processor
        self._ramp = ramp

    @torch.inference_mode()
    def embed(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        """Embeddings (2, L, D): of the empty prompt alone, and with ``picture`` (H, W, 3) uint8, sRGB, mixed in."""
        length = len(self._ramp)
        tokens = self._tokenizer("", padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        ids = tokens["input_ids"].to(self._text_encoder.device)
        empty = self._text_encoder(ids).last_hidden_state
        pixels = pixel_values(self._image_processor, picture)
        seen = self._vision_encoder(pixels.to(self._vision_encoder.device, self._vision_encoder.dtype)).image_embeds
        ramp = torch.tensor(self._ramp, dtype=seen.dtype, device=seen.device)
        return torch.cat([empty, empty + seen[:, None] * ramp[:, None]])


def pixel_values(processor: CLIPImageProcessorPil, picture: NDArray[np.uint8]) -> torch.Tensor:
    """``picture`` (H, W, 3) uint8 as the processor resizes, crops and normalises it, (1, 3, h, w) float32."""
    return processor(images=Image.fromarray(picture), return_tensors="pt")["pixel_values"]
