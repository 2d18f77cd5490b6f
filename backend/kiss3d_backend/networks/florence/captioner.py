"""A picture in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from kiss3d_backend.networks.interrupt import interruptible

TASK = "<MORE_DETAILED_CAPTION>"
BEAMS = 3
MOST_TOKENS = 512
"""As many as FLUX's T5 encoder takes."""


@attrs.frozen
class Captioner:
    """``model``: a ``Florence2ForConditionalGeneration``. ``processor``: its ``Florence2Processor``."""

    model: Any
    processor: Any

    def caption(self, rgb: NDArray[np.uint8], check_cancelled: Callable[[], None]) -> str:
        """A paragraph about ``rgb`` (H, W, 3) sRGB: the task for detailed captions, three beams, no random choice.

        ``check_cancelled`` is called before every layer; what it raises ends the work.
        """
        inputs = self.processor(text=TASK, images=Image.fromarray(rgb), return_tensors="pt")
        inputs = inputs.to(self.model.device, self.model.dtype)
        with torch.inference_mode(), interruptible(self.model, check_cancelled):
            tokens = self.model.generate(**inputs, num_beams=BEAMS, do_sample=False, max_new_tokens=MOST_TOKENS)
        (text,) = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return " ".join(text.split())
