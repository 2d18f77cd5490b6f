"""The multiview network's time and memory, with random weights. Prints JSON.

Run ``python tests/benchmarks/bench_multiview.py [--device cuda] [--dtype float16] [--steps N] [--side N] [--small]``.
By default the published widths on CUDA in float16 at 1024 x 1024, or widths of a fifth on the CPU in float32 at
256 x 256. One step is a write pass of two condition pictures and a read pass of two pictures, as with guidance. Memory
on CUDA is what torch allocated at most; on the CPU the process's own peak.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, TypeVar

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.fakes.tiny.zero123 import PUBLISHED_UNET  # noqa: E402

from kiss3d_backend.networks.precision import refuse_half_on_cpu  # noqa: E402
from kiss3d_backend.networks.zero123.noise import Noise  # noqa: E402
from kiss3d_backend.networks.zero123.reference import ReferenceUNet  # noqa: E402
from kiss3d_backend.networks.zero123.sampling import sample_latents  # noqa: E402
from kiss3d_backend.networks.zero123.schedule import Schedule, trailing_schedule  # noqa: E402

SCHEDULER = {
    "beta_end": 0.012,
    "beta_schedule": "linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
}
SMALL = {"attention_head_dim": [1, 2, 4, 4], "block_out_channels": [64, 128, 256, 256], "cross_attention_dim": 256}
VAE: dict[str, Any] = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "layers_per_block": 2,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
TOKENS = 77
Module = TypeVar("Module", bound=torch.nn.Module)
SCALE = 8


def synchronised(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()


def peak_mib(device: torch.device) -> int | None:
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20)
    try:
        import resource
    except ImportError:
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))


def moved(module: Module, device: torch.device, dtype: torch.dtype) -> Module:
    """By torch's own method: the one of diffusers warns of layers that these networks do not have."""
    torch.nn.Module.to(module, device, dtype)
    return module.requires_grad_(False).eval()


def sample(unet: ReferenceUNet, schedule: Schedule, width: int, side: int) -> torch.Tensor:
    condition = (4, side // SCALE // 2, side // SCALE // 2)
    noise = Noise.draw(torch.Generator().manual_seed(0), len(schedule), (4, side // SCALE, side // SCALE), condition)
    text = torch.randn(2, TOKENS, width)
    return sample_latents(unet, torch.randn(2, *condition), text, schedule, 4.0, noise, lambda *_: None, lambda: None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=("float16", "bfloat16", "float32"))
    parser.add_argument("--steps", type=int, default=None, help="24 on CUDA, 3 on the CPU")
    parser.add_argument("--side", type=int, default=None, help="pixels; 1024 on CUDA, 256 on the CPU")
    parser.add_argument("--small", action="store_true", default=None, help="widths of a fifth; on the CPU always")
    options = parser.parse_args()
    device = torch.device(options.device)
    on_cuda = device.type == "cuda"
    dtype = getattr(torch, options.dtype or ("float16" if on_cuda else "float32"))
    side, steps = options.side or (1024 if on_cuda else 256), options.steps or (24 if on_cuda else 3)
    small = options.small or not on_cuda
    refuse_half_on_cpu(device, dtype)

    configuration = PUBLISHED_UNET | (SMALL if small else {})
    network = moved(UNet2DConditionModel(**configuration), device, dtype)
    unet = ReferenceUNet(network)
    width = configuration["cross_attention_dim"]
    sample(unet, trailing_schedule(SCHEDULER, 2), width, side)
    if on_cuda:
        torch.cuda.reset_peak_memory_stats(device)
    began = synchronised(device)
    latents = sample(unet, trailing_schedule(SCHEDULER, steps), width, side)
    sampling = synchronised(device) - began
    sampling_peak = peak_mib(device)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    del network, unet

    vae = moved(AutoencoderKL(**VAE), device, dtype)
    if on_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    began = synchronised(device)
    with torch.inference_mode():
        vae.decode(latents.to(dtype))
    decoding = synchronised(device) - began
    figures = {
        "device": torch.cuda.get_device_name(device) if on_cuda else f"cpu, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "dtype": str(dtype).removeprefix("torch."),
        "side": side,
        "steps": steps,
        "unet_parameters": parameters,
        "seconds_per_step": round(sampling / steps, 4),
        "sampling_seconds": round(sampling, 3),
        "sampling_peak_mib": sampling_peak,
        "decoding_seconds": round(decoding, 3),
        "decoding_peak_mib": peak_mib(device),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
