"""The network's own scale of latents and pixels, and pixels as a picture."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

# Latents are shifted and scaled to be centred; pixels are scaled so that white is away from the end of the range.
_LATENT_SCALE = 0.75
_LATENT_SHIFT = 0.22
_PIXEL_SCALE = 0.5 / 0.8


def unscaled_latents(latents: torch.Tensor) -> torch.Tensor:
    """The autoencoder's latents, times its scaling factor, of the network's."""
    return latents / _LATENT_SCALE + _LATENT_SHIFT


def unscaled_pixels(pixels: torch.Tensor) -> torch.Tensor:
    """From the network's pixels to float32, sRGB, in [0, 1]."""
    return (pixels.float() / _PIXEL_SCALE * 0.5 + 0.5).clamp(0.0, 1.0)


def to_picture(pixels: torch.Tensor) -> NDArray[np.uint8]:
    """From (3, H, W) in [0, 1] to (H, W, 3) uint8. Waits for the device."""
    return (pixels * 255.0).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
