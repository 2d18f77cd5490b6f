"""What this machine computes on: the only place that asks the hardware. No torch, a few milliseconds."""

from __future__ import annotations

import platform
import sys

import psutil

from kiss3d_protocol.messages import Device


def probe_device() -> Device:
    """The device that jobs would run on, with its memory in bytes as it is now."""
    memory = psutil.virtual_memory()
    cuda = _first_nvidia_gpu()
    if cuda is not None:
        name, total, free = cuda
        return Device("cuda", name, total, free, memory.total, memory.available)
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return Device("mps", "Apple silicon", None, None, memory.total, memory.available)
    return Device("cpu", _processor_name(), None, None, memory.total, memory.available)


def _first_nvidia_gpu() -> tuple[str, int, int] | None:
    import pynvml  # pyright: ignore[reportMissingTypeStubs]

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        # The library has no types of its own.
        handle = pynvml.nvmlDeviceGetHandleByIndex(0)  # pyright: ignore[reportUnknownMemberType]
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)  # pyright: ignore[reportUnknownMemberType]
        name = str(pynvml.nvmlDeviceGetName(handle))  # pyright: ignore[reportUnknownMemberType]
        return name, int(memory.total), int(memory.free)
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _processor_name() -> str:
    count = psutil.cpu_count() or 1
    return f"{platform.processor() or platform.machine()} ({count} core{'s' if count > 1 else ''})"
