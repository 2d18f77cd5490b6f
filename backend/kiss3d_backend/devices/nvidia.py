"""The NVIDIA graphics card, as its driver tells it through NVML. No torch; a few milliseconds, and no CUDA context."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from kiss3d_backend.devices.machine import Gpu

T = TypeVar("T")


def nvidia_gpu(uuid: str | None = None) -> Gpu | None:
    """The card with this UUID, as torch or the driver writes it; without one, the first that CUDA may see.

    None where there is no such card or no driver. What a driver does not tell is None in the card.
    """
    # The library's annotations are partial.
    import pynvml  # pyright: ignore[reportMissingTypeStubs]

    nvml: Any = pynvml
    try:
        nvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        handle = _handle(nvml, uuid)
        return None if handle is None else _card(nvml, handle)
    except pynvml.NVMLError:
        return None
    finally:
        nvml.nvmlShutdown()


def _handle(nvml: Any, uuid: str | None) -> Any:
    if uuid is not None:
        return nvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return nvml.nvmlDeviceGetHandleByIndex(0)
    # CUDA ignores the list from its first wrong entry on (CUDA programming guide, "Environment variables").
    first = visible.split(",")[0].strip()
    if first.startswith("GPU-"):
        return nvml.nvmlDeviceGetHandleByUUID(first)
    return nvml.nvmlDeviceGetHandleByIndex(int(first)) if first.isdecimal() else None


def _card(nvml: Any, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    capability = _told(nvml, lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
    newest = _told(nvml, lambda: int(nvml.nvmlSystemGetCudaDriverVersion_v2()))
    driver = _told(nvml, lambda: str(nvml.nvmlSystemGetDriverVersion()))
    return Gpu(
        name=str(nvml.nvmlDeviceGetName(handle)),
        vram_total=int(memory.total),
        vram_free=int(memory.free),
        compute_capability=None if capability is None else (int(capability[0]), int(capability[1])),
        driver=driver,
        # 1000 * major + 10 * minor (NVML reference, nvmlSystemGetCudaDriverVersion).
        driver_cuda=None if newest is None else (newest // 1000, newest % 1000 // 10),
        shares_display=_shares_display(nvml, handle),
    )


def _shares_display(nvml: Any, handle: Any) -> bool:
    """On Windows a card in the desktop's driver model (WDDM) draws for every program, with or without a screen."""
    if _told(nvml, lambda: bool(nvml.nvmlDeviceGetDisplayActive(handle))):
        return True
    if sys.platform != "win32":
        return False
    model = _told(nvml, lambda: nvml.nvmlDeviceGetCurrentDriverModel(handle))
    return model is not None and model == nvml.NVML_DRIVER_WDDM


def _told(nvml: Any, ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except nvml.NVMLError:
        return None
