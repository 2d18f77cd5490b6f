"""A picture to look at while the network works: a matrix product instead of a decoder."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from kiss3d_backend.networks.zero123.scaling import to_picture, unscaled_latents, unscaled_pixels

# A linear fit of RGB in [-1, 1] to the four channels of Stable Diffusion's latents, as it goes round in its community.
_LATENT_TO_RGB = (
    (0.298, 0.207, 0.208),
    (0.187, 0.286, 0.173),
    (-0.158, 0.189, 0.264),
    (-0.184, -0.271, -0.473),
)
PREVIEW_SIDE = 512


@torch.inference_mode()
def approximate_picture(latents: torch.Tensor) -> NDArray[np.uint8]:
    """All tiles together (512, 512, 3) uint8, roughly, of the network's latents (1, 4, h, w). Waits for the device."""
    matrix = torch.tensor(_LATENT_TO_RGB, dtype=torch.float32, device=latents.device)
    rgb = torch.einsum("chw,cr->rhw", unscaled_latents(latents)[0].float(), matrix)
    picture = Image.fromarray(to_picture(unscaled_pixels(rgb)))
    return np.asarray(picture.resize((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.BICUBIC))
