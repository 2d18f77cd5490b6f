"""Which precision a network may run in on which device."""

from __future__ import annotations

import torch

from kiss3d_protocol.errors import ParamsInvalid


def refuse_half_on_cpu(device: torch.device, dtype: torch.dtype) -> None:
    """Raises :class:`ParamsInvalid` for float16 on the CPU, where it is slow and many operations lack it."""
    if device.type == "cpu" and dtype == torch.float16:
        raise ParamsInvalid(
            "A network cannot run in half precision (float16) on the processor.",
            "Use float32 or bfloat16 there, or run it on a graphics card.",
        )
