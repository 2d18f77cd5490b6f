"""What this machine computes on: the only place that asks the hardware. No torch in this process."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import psutil
from attrs import evolve

from kiss3d_backend.devices.disk import examine_disk
from kiss3d_backend.devices.machine import Disk, Gpu, Machine
from kiss3d_backend.devices.nvidia import nvidia_gpu
from kiss3d_backend.devices.pytorch3d import pytorch3d_build
from kiss3d_backend.devices.torch_answer import TorchAnswer
from kiss3d_backend.models.download.room import existing
from kiss3d_protocol.messages import Device

APPLE = Gpu("Apple silicon", shares_display=True)


def probe_device() -> Device:
    """The device that jobs would run on, with its memory in bytes as it is now. A few milliseconds."""
    memory = psutil.virtual_memory()
    gpu = nvidia_gpu()
    if gpu is not None:
        return Device("cuda", gpu.name, gpu.vram_total, gpu.vram_free, memory.total, memory.available)
    if _is_apple_silicon():
        return Device("mps", APPLE.name, None, None, memory.total, memory.available)
    return Device("cpu", processor_name(), None, None, memory.total, memory.available)


def probe_machine(
    data_dir: Path, models_dir: Path, answer: TorchAnswer | None, *, measure_disks: bool = True
) -> Machine:
    """Everything that a plan or a finding depends on; a fraction of a second, and no model is loaded.

    ``models_dir``: the cache of downloads. ``answer``: of :func:`~kiss3d_backend.devices.torch_answer.ask_torch`, None
    without torch. ``measure_disks`` as in :func:`~kiss3d_backend.devices.disk.examine_disk`.
    """
    memory = psutil.virtual_memory()
    data_disk, models_disk = _disks(data_dir, models_dir, measure_disks)
    return Machine(
        device="cpu" if answer is None else answer.device,
        processor=processor_name(),
        platform=sys.platform,
        cores=_cores(),
        ram_total=memory.total,
        ram_available=memory.available,
        swap_total=psutil.swap_memory().total,
        data_disk=data_disk,
        models_disk=models_disk,
        gpu=_gpu(answer),
        torch=None if answer is None else answer.build,
        triton_works=answer is not None and answer.triton_works,
        triton_reason="torch is not installed" if answer is None else answer.triton_reason,
        attention=() if answer is None else answer.attention,
        pytorch3d=pytorch3d_build(),
        expandable_segments=answer is not None and answer.expandable_segments,
        pinned_memory=answer is not None and answer.pinned_memory,
    )


def processor_name() -> str:
    """With the number of cores, which says more than the name that some systems give."""
    count = _cores()
    return f"{platform.processor() or platform.machine()} ({count} core{'s' if count > 1 else ''})"


def _gpu(answer: TorchAnswer | None) -> Gpu | None:
    """The driver knows more of a card than torch; torch knows which one it takes, and cards of other makers."""
    by_torch = None if answer is None else answer.gpu
    by_driver = nvidia_gpu(None if answer is None else answer.uuid)
    if by_torch is None:
        return by_driver or (APPLE if _is_apple_silicon() else None)
    return by_torch if by_driver is None or by_torch.compute_capability is None else by_driver


def _disks(data_dir: Path, models_dir: Path, measure: bool) -> tuple[Disk, Disk]:
    data = examine_disk(data_dir, measure=measure)
    same = existing(data_dir).stat().st_dev == existing(models_dir).stat().st_dev
    models = examine_disk(models_dir, measure=measure and not same)
    return data, evolve(data, folder=models.folder) if same else models


def _cores() -> int:
    """That this process may use: a container or a scheduler often gives fewer than there are."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_apple_silicon() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"
