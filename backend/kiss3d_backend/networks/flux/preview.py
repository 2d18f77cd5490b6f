"""A picture to look at while the network works."""

from __future__ import annotations

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from torch.nn import functional

from kiss3d_backend.networks.flux.autoencoder import decode_latents

SHRINK = 4
"""Along each axis: the decoder then does a sixteenth of its work."""


def small_picture(autoencoder: AutoencoderKL, latents: torch.Tensor) -> NDArray[np.uint8]:
    """A quarter of the picture's size along each axis, uint8, of latents (1, C, h, w): averaged, then decoded.

    The autoencoder is convolutional, so the mean of neighbouring codes decodes to about the mean of their pixels.
    Waits for the device.
    """
    shrink = max(1, min(SHRINK, latents.shape[-2] // 2, latents.shape[-1] // 2))
    return decode_latents(autoencoder, functional.avg_pool2d(latents, shrink))
