"""From a picture of an object to the picture of its four tiles."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from kiss3d_backend.networks.zero123.autoencoder import Autoencoder
from kiss3d_backend.networks.zero123.noise import Noise
from kiss3d_backend.networks.zero123.parts import Parts
from kiss3d_backend.networks.zero123.sampling import OnStep, sample_latents
from kiss3d_backend.networks.zero123.scaling import to_picture
from kiss3d_backend.networks.zero123.schedule import trailing_schedule
from kiss3d_backend.networks.zero123.settings import SamplingSettings


def make_tiles(
    picture: NDArray[np.uint8],
    parts: Parts,
    settings: SamplingSettings,
    noise: torch.Generator | Noise,
    on_step: OnStep,
    check_cancelled: Callable[[], None],
) -> NDArray[np.uint8]:
    """The picture (side, side, 3) uint8, sRGB, of 2 x 2 tiles; :mod:`.tiles` takes it apart.

    ``picture``: (S, S, 3) uint8, sRGB, the object on white, at 85 % of the side. ``noise``: a generator, which is drawn
    from as :meth:`Noise.draw` says, or the numbers themselves. ``on_step``, ``check_cancelled``: see
    :func:`sample_latents`.

    Raises :class:`ParamsInvalid` for a number of steps out of range, and what getting the parts raises.
    """
    latents = make_latents(picture, parts, settings, noise, on_step, check_cancelled)
    check_cancelled()
    return to_picture(parts.autoencoder().decode(latents))


def make_latents(
    picture: NDArray[np.uint8],
    parts: Parts,
    settings: SamplingSettings,
    noise: torch.Generator | Noise,
    on_step: OnStep,
    check_cancelled: Callable[[], None],
) -> torch.Tensor:
    """What :func:`make_tiles` decodes: (1, C, side / scale, side / scale) float32, scaled as the network sees them."""
    schedule = trailing_schedule(parts.scheduler(), settings.steps)
    text = parts.conditioner().embed(picture)
    check_cancelled()
    codes, noise = _encode(parts.autoencoder(), picture, noise, len(schedule), settings.side)
    check_cancelled()
    return sample_latents(parts.unet(), codes, text, schedule, settings.guidance, noise, on_step, check_cancelled)


def _encode(
    autoencoder: Autoencoder, picture: NDArray[np.uint8], noise: torch.Generator | Noise, steps: int, side: int
) -> tuple[torch.Tensor, Noise]:
    """The codes of the zero tensor and of the picture (2, C, h, w), and the noise, drawn unless it was given."""
    pixels = autoencoder.prepare(picture)
    if isinstance(noise, torch.Generator):
        scale, channels = autoencoder.scale, autoencoder.channels
        height, width = pixels.shape[-2] // scale, pixels.shape[-1] // scale
        noise = Noise.draw(noise, steps, (channels, side // scale, side // scale), (channels, height, width))
    nothing = autoencoder.encode(torch.zeros_like(pixels), noise.negative)
    seen = autoencoder.encode(pixels, noise.picture)
    return torch.cat([nothing, seen]), noise
