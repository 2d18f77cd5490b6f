"""Between pictures and the latents that the network works on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from numpy.typing import NDArray
from transformers import CLIPImageProcessorPil

from kiss3d_backend.networks.zero123.conditioning import pixel_values
from kiss3d_backend.networks.zero123.scaling import unscaled_latents, unscaled_pixels


class Autoencoder:
    """Stable Diffusion's autoencoder with the image processor that prepares the given picture for it.

    ``tiled``: decode in overlapping tiles that are blended, which needs less memory and changes pixels slightly.
    """

    def __init__(self, vae: AutoencoderKL, image_processor: CLIPImageProcessorPil, tiled: bool = False) -> None:
        self._vae = vae
        self._image_processor = image_processor
        if tiled:
            vae.enable_tiling()

    @property
    def scale(self) -> int:
        """Pixels of a side for each latent."""
        return 2 ** (len(self._vae.config["block_out_channels"]) - 1)

    @property
    def channels(self) -> int:
        """Of the latents."""
        return int(self._vae.config["latent_channels"])

    def prepare(self, picture: NDArray[np.uint8]) -> torch.Tensor:
        """``picture`` (H, W, 3) uint8, sRGB, as :meth:`encode` takes it: (1, 3, h, w) float32."""
        return pixel_values(self._image_processor, picture)

    @torch.inference_mode()
    def encode(self, pixels: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """A sample (1, C, h, w) of the code of ``pixels``, without the scaling factor, float32.

        ``noise``: (1, C, h, w), standard normal.
        """
        code = self._vae.encode(pixels.to(self._vae.device, self._vae.dtype), return_dict=False)[0]
        return code.mean.float() + code.std.float() * noise.to(self._vae.device)

    @torch.inference_mode()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pixels (3, H, W) float32, sRGB, in [0, 1], of the network's latents (1, C, h, w)."""
        code: Any = unscaled_latents(latents) / float(self._vae.config["scaling_factor"])
        code = code.to(self._vae.device, self._vae.dtype)
        return unscaled_pixels(self._vae.decode(code, return_dict=False)[0][0])
