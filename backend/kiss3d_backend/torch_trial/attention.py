"""Which back ends of torch's attention work on a device: each is given the same small task with a known answer."""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

BACK_ENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
HOPPER = (9, 0)
TOLERANCE = 0.02
"""bfloat16 has 8 bits of mantissa; the values are below 1."""


def working_attention(device: torch.device) -> tuple[str, ...]:
    """In the order in which they should be tried: cuDNN's comes first from Hopper on, which it was written for."""
    names = list(BACK_ENDS)
    if device.type == "cuda" and not torch.version.hip and torch.cuda.get_device_capability(device) >= HOPPER:
        names.sort(key=lambda name: name != "cudnn")
    return tuple(name for name in names if _works(BACK_ENDS[name], device))


def _works(back_end: SDPBackend, device: torch.device) -> bool:
    dtype = torch.float32
    if device.type == "cuda":
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    # Shape (batch, heads, tokens, channels); 64 channels are what every back end has.
    steps = torch.arange(32 * 64, dtype=torch.float32).reshape(1, 1, 32, 64)
    query, key, value = steps.sin(), (steps * 0.7).cos(), (steps * 0.3).sin()
    known = torch.softmax(query @ key.transpose(-1, -2) / 8.0, dim=-1) @ value
    try:
        with sdpa_kernel(back_end):
            found = scaled_dot_product_attention(
                query.to(device, dtype), key.to(device, dtype), value.to(device, dtype)
            )
        return torch.allclose(found.float().cpu(), known, atol=TOLERANCE)
    except Exception:  # whatever a library or a driver may raise
        return False
