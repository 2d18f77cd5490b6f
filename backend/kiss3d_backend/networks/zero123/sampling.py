"""The loop: from noise to the latents of the tiles."""

from __future__ import annotations

from collections.abc import Callable

import torch

from kiss3d_backend.networks.zero123.noise import Noise
from kiss3d_backend.networks.zero123.reference import ReferenceUNet
from kiss3d_backend.networks.zero123.schedule import Schedule, ancestral_step, denoised, scale_input

OnStep = Callable[[int, int, torch.Tensor], None]
"""Called after each step: its number, from 1; how many there are; the signal that it predicted, as (1, C, H, W)."""


@torch.inference_mode()
def sample_latents(
    unet: ReferenceUNet,
    condition: torch.Tensor,
    text: torch.Tensor,
    schedule: Schedule,
    guidance: float,
    noise: Noise,
    on_step: OnStep,
    check_cancelled: Callable[[], None],
) -> torch.Tensor:
    """Latents (1, C, H, W) float32, still scaled as the network sees them.

    ``condition``: (2, C, h, w), codes of the zero tensor and of the picture. ``text``: (2, L, D), embeddings without
    and with the picture. With ``guidance`` above 1 the result is without + guidance x (with - without); otherwise only
    the second of each is used. ``check_cancelled`` may raise; it is called many times within a step.

    The latents stay in float32 between steps; the network gets its own dtype. Nothing in the loop waits for the device
    unless ``on_step`` does.
    """
    device, dtype = unet.device, unet.dtype
    noise = noise.to(device)
    guided = guidance > 1.0
    used = slice(0, 2) if guided else slice(1, 2)
    condition = condition[used].to(device, torch.float32)
    text = text[used].to(device, dtype)
    timesteps = torch.tensor(schedule.timesteps, dtype=torch.float32, device=device)
    latents = noise.initial * schedule.sigmas[0]
    for step, (sigma, next_sigma) in enumerate(zip(schedule.sigmas, schedule.sigmas[1:], strict=False)):
        noisy_condition = scale_input(condition + noise.condition[step, used] * sigma, sigma)
        scaled = scale_input(latents, sigma).expand(len(text), -1, -1, -1)
        predicted = unet(scaled.to(dtype), noisy_condition.to(dtype), timesteps[step], text, check_cancelled).float()
        v = predicted[:1] + guidance * (predicted[1:] - predicted[:1]) if guided else predicted
        signal = denoised(latents, v, sigma)
        latents = ancestral_step(latents, signal, sigma, next_sigma, noise.ancestral[step])
        on_step(step + 1, len(schedule), signal)
    return latents
