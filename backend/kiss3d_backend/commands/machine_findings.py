"""What the doctor says of a machine: each limit that would otherwise show minutes into a job, and its remedy."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve

from kiss3d_backend.commands.findings import Finding
from kiss3d_backend.devices.machine import Disk, Machine, TorchBuild
from kiss3d_protocol.amounts import amount_text

LITTLE_RAM = 16 * 2**30 * 0.9
LITTLE_AVAILABLE = 6 * 2**30
"""Bytes; systems keep some for themselves. FLUX's transformer is 11.9 GB, and waits there if the card is smaller."""

LITTLE_PAGEFILE = 16 * 2**30
LITTLE_DISK = 5e9
NO_DISK = 5e8
"""Bytes. A job keeps some ten to a hundred megabytes; its pictures, meshes and checkpoints."""

GPU_WHEELS = "https://pytorch.org/get-started/locally"


def machine_findings(machine: Machine) -> list[Finding]:
    """In the order in which one would look: the GPU, what uses it, memory, disks. Asks nothing of the machine."""
    return [
        *_gpu(machine),
        *_torch(machine),
        *_triton(machine),
        *_pytorch3d(machine),
        *_allocator(machine),
        *_memory(machine),
        *_disks(machine),
    ]


def _gpu(machine: Machine) -> Iterator[Finding]:
    gpu = machine.gpu
    if gpu is None:
        yield Finding("Device", "ok", f"{machine.processor}; there is no GPU that Kiss3D can use.")
        return
    text = gpu.name
    if gpu.compute_capability is not None:
        text += f", compute capability {_dotted(gpu.compute_capability)}"
    if gpu.vram_total is not None and gpu.vram_free is not None:
        text += f", {gib(gpu.vram_free)} of {gib(gpu.vram_total)} free"
    if gpu.driver is not None:
        newest = f", which supports CUDA {_dotted(gpu.driver_cuda)}" if gpu.driver_cuda else ""
        text += f", driver {gpu.driver}{newest}"
    text += ", shared with the desktop." if gpu.shares_display else "."
    yield Finding("Device", "ok", text)
    if machine.compute_capability is None:
        return
    if not machine.bfloat16:
        yield Finding(
            "GPU precision",
            "note",
            "It has no matrix products in bfloat16, so FLUX computes in another precision and takes longer.",
            "Choose the fast preset, which takes the fewest steps.",
            "gpu.no_bfloat16",
        )
    elif not machine.float8:
        text = (
            "Matrix products in bfloat16. FLUX is kept in fp8 and converted layer by layer: this card has none in fp8."
        )
        yield Finding("GPU precision", "ok", text)
    else:
        yield Finding("GPU precision", "ok", "Matrix products in bfloat16 and in fp8.")


def _torch(machine: Machine) -> Iterator[Finding]:
    torch, gpu = machine.torch, machine.gpu
    if torch is None:
        yield Finding(
            "Torch",
            "note",
            "It is not installed. The draft preset does not need it; all others do.",
            "Install it with Kiss3D: pip install 'kiss3d[gpu]'.",
            "torch.missing",
        )
        return
    built = f"{torch.version}, built for {_target(torch, machine.platform)}"
    nvidia = gpu is not None and gpu.driver is not None
    if machine.device != "cpu":
        attention = ", ".join(machine.attention) or "none"
        yield Finding("Torch", "ok", f"{built}; it can use the GPU. Attention: {attention}.")
    elif torch.cuda is None and torch.problem:
        yield Finding(
            "Torch", "error", f"{torch.version} cannot be used: {torch.problem}.", "Install it again.", "torch.broken"
        )
    elif torch.cuda is None and nvidia:
        yield Finding(
            "Torch",
            "error",
            f"{built}, so the {gpu.name if gpu else 'GPU'} stays idle and jobs take many times longer.",
            f"Install a build for CUDA in its place; {GPU_WHEELS} has the command.",
            "torch.cpu_build",
        )
    elif torch.cuda is not None and gpu is not None and gpu.driver_cuda and gpu.driver_cuda < _version(torch.cuda):
        yield Finding(
            "GPU driver",
            "error",
            f"Driver {gpu.driver} supports CUDA up to {_dotted(gpu.driver_cuda)}, but torch was built for {torch.cuda} "
            "and cannot use the GPU.",
            "Install a newer driver from https://www.nvidia.com/drivers, or a torch for an older CUDA.",
            "gpu.driver_too_old",
        )
    elif torch.cuda is not None and nvidia:
        yield Finding(
            "Torch",
            "error",
            f"{built}, cannot use the GPU: {torch.problem or 'it does not say why'}.",
            f"Install the newest driver, and a torch that supports this card: {GPU_WHEELS}.",
            "torch.gpu_unusable",
        )
    else:
        yield Finding("Torch", "ok", f"{built}.")


def _triton(machine: Machine) -> Iterator[Finding]:
    if machine.device != "cuda":
        return
    if machine.triton_works:
        yield Finding("Triton", "ok", "Its test kernel was compiled and is right.")
        return
    package = "triton-windows" if machine.platform == "win32" else "triton"
    yield Finding(
        "Triton",
        "warning",
        f"It cannot be used: {machine.triton_reason}. All presets run without it, but more slowly.",
        f"Install the version of {package} that belongs to your torch: pip install -U {package}."
        + ("" if machine.platform == "win32" else " It needs a C compiler, for example gcc."),
        "triton.unusable",
    )


def _pytorch3d(machine: Machine) -> Iterator[Finding]:
    if machine.pytorch3d == "cuda":
        yield Finding("pytorch3d", "ok", "Compiled for CUDA; Kiss3D itself does not need it.")
    elif machine.pytorch3d is not None:
        what = "for the processor alone" if machine.pytorch3d == "cpu" else "in a way that cannot be told"
        yield Finding(
            "pytorch3d",
            "warning" if machine.gpu is not None and machine.pytorch3d == "cpu" else "note",
            f'It was compiled {what}: on the GPU it would end a job with "Not compiled with GPU support". '
            "Kiss3D draws with its own rasteriser and does not use it unless it is asked to.",
            "Nothing has to be done for Kiss3D; remove it (pip uninstall pytorch3d), or compile it with FORCE_CUDA=1.",
            "pytorch3d.cpu_build" if machine.pytorch3d == "cpu" else "pytorch3d.unknown_build",
        )


def _allocator(machine: Machine) -> Iterator[Finding]:
    if machine.device != "cuda":
        return
    if not machine.expandable_segments:
        yield Finding(
            "GPU allocator",
            "note",
            "Torch cannot grow its segments of GPU memory on this system, so a little more of it is lost to gaps.",
            "Do not set expandable_segments in PYTORCH_CUDA_ALLOC_CONF; Kiss3D leaves it alone here.",
            "gpu.fixed_segments",
        )
    if not machine.pinned_memory:
        yield Finding(
            "Pinned memory",
            "warning",
            "Memory cannot be locked for copies to the GPU, so weights are streamed to it slowly.",
            "Raise the limit on locked memory (ulimit -l), or close programs that use much memory.",
            "gpu.no_pinned_memory",
        )
    if machine.platform == "win32":
        yield Finding(
            "GPU memory",
            "note",
            "When it is full, the driver may go on in the computer's own memory, which is many times slower.",
            "In the NVIDIA control panel, set 'CUDA - Sysmem Fallback Policy' to 'Prefer No Sysmem Fallback'.",
            "gpu.memory_fallback",
        )


def _memory(machine: Machine) -> Iterator[Finding]:
    text = f"{gib(machine.ram_available)} of {gib(machine.ram_total)} free; {machine.cores} cores."
    if machine.ram_total < LITTLE_RAM:
        yield Finding(
            "Memory",
            "warning" if machine.torch is not None else "note",
            f"{text} Networks wait there for their turn on a smaller card, so some presets may not run, or slowly.",
            "Close other programs before you start a job, or put in more memory: 16 GiB or more.",
            "ram.little",
        )
    elif machine.ram_available < LITTLE_AVAILABLE:
        yield Finding("Memory", "warning", text, "Close other programs before you start a job.", "ram.in_use")
    else:
        yield Finding("Memory", "ok", text)
    if machine.platform == "win32" and machine.torch is not None and machine.swap_total < LITTLE_PAGEFILE:
        yield Finding(
            "Pagefile",
            "warning",
            f"The pagefile has {gib(machine.swap_total)}. Loading large models may end with 'The paging file is too "
            "small for this operation to complete'.",
            "Let Windows manage its size (System, Advanced, Performance, Virtual memory), or set at least 16 GiB.",
            "ram.little_pagefile",
        )


def _disks(machine: Machine) -> Iterator[Finding]:
    yield _disk("Disk", machine.data_disk, "--data-dir")
    # Where they are one disk, they have the same figures.
    if evolve(machine.models_disk, folder=machine.data_disk.folder) != machine.data_disk:
        yield _disk("Disk of the models", machine.models_disk, "HF_HOME")


def _disk(subject: str, disk: Disk, setting: str) -> Finding:
    rate = f", {disk.speed} ({amount_text(disk.write_rate)} per second)" if disk.write_rate is not None else ""
    text = f"{amount_text(disk.free)} free at {disk.folder}{rate}."
    remedy = f"Free some disk space, or choose a folder on another disk with {setting}."
    if disk.free < NO_DISK:
        return Finding(subject, "error", text, remedy, "disk.full")
    if disk.free < LITTLE_DISK:
        return Finding(subject, "warning", text, remedy, "disk.little")
    if disk.speed == "slow":
        remedy = f"Choose a folder on an SSD with {setting}, if there is one; loading models takes minutes from here."
        return Finding(subject, "note", text, remedy, "disk.slow")
    return Finding(subject, "ok", text)


def gib(count: int) -> str:
    """Bytes of memory as people say them, in powers of 1024."""
    return f"{count / 2**30:.1f} GiB"


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _version(text: str) -> tuple[int, int]:
    """Of "12.8"."""
    major, minor = text.split(".")[:2]
    return int(major), int(minor)


def _target(torch: TorchBuild, platform: str) -> str:
    if torch.cuda is not None:
        return f"CUDA {torch.cuda}"
    if "rocm" in torch.version:
        return "ROCm"
    return "macOS" if platform == "darwin" else "the processor alone"
