"""Machines to plan for and to find fault with."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from kiss3d_backend.devices.machine import Disk, Gpu, Machine, TorchBuild

GIB = 2**30


def gpu(name: str = "RTX 4070", vram: float = 12.0, capability: tuple[int, int] = (8, 9), **changes: Any) -> Gpu:
    """A card of ``vram`` GiB, nearly all of it free, with a new driver."""
    total = int(vram * GIB)
    card = Gpu(name, total, int(total * 0.95), capability, driver="580.65.06", driver_cuda=(13, 0))
    return evolve(card, **changes)


def machine(**changes: Any) -> Machine:
    """A Linux machine with 32 GiB and an RTX 4070, in perfect order."""
    disk = Disk("/home/ana/.local/share/kiss3d", 400 * 10**9, 2.1e9)
    perfect = Machine(
        device="cuda",
        processor="x86_64 (16 cores)",
        platform="linux",
        cores=16,
        ram_total=32 * GIB,
        ram_available=26 * GIB,
        swap_total=8 * GIB,
        data_disk=disk,
        models_disk=disk,
        gpu=gpu(),
        torch=TorchBuild("2.13.0+cu130", "13.0"),
        triton_works=True,
        attention=("flash", "cudnn", "efficient", "math"),
        expandable_segments=True,
        pinned_memory=True,
    )
    return evolve(perfect, **changes)
