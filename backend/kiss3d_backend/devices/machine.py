"""What a machine can compute on, as the probe found it and as the planner takes it. No torch; all sizes in bytes."""

from __future__ import annotations

from typing import Literal

from attrs import field, frozen
from cattrs.preconf.json import make_converter

from kiss3d_protocol.messages import DeviceKind

Pytorch3dBuild = Literal["cpu", "cuda", "unknown"]
"""What a pytorch3d was compiled for; "unknown" where its compiled part is missing or tells neither."""

DiskSpeed = Literal["fast", "medium", "slow", "unknown"]
"""As an NVMe drive, as a SATA SSD, as a hard disk or a network folder, or not measured."""

FAST_DISK = 700e6
SLOW_DISK = 200e6
"""Bytes per second, written and on the disk: at or above the first a disk is fast, below the second it is slow."""


@frozen
class Gpu:
    """A graphics card.

    ``vram_total``, ``vram_free``: bytes; None where memory is shared with the processor or the driver does not say.
    ``compute_capability``: of NVIDIA, (major, minor), as (8, 6); None for others. ``driver``: its version as the vendor
    writes it. ``driver_cuda``: the newest CUDA version that it supports, (major, minor). ``shares_display``: whether a
    desktop, and so probably Blender's viewport, is drawn by this card too.
    """

    name: str
    vram_total: int | None = None
    vram_free: int | None = None
    compute_capability: tuple[int, int] | None = None
    driver: str | None = None
    driver_cuda: tuple[int, int] | None = None
    shares_display: bool = False


@frozen
class TorchBuild:
    """The torch of the environment. ``cuda``: the CUDA version it was built for, as "12.8"; None for one without it.

    ``problem``: why it cannot use the GPU, in its own words; empty where it can, or where there is nothing to use.
    """

    version: str
    cuda: str | None = None
    problem: str = ""


@frozen
class Disk:
    """The disk that a folder is on. ``free``: bytes. ``write_rate``: bytes per second as measured, or None."""

    folder: str
    free: int
    write_rate: float | None = None

    @property
    def speed(self) -> DiskSpeed:
        if self.write_rate is None:
            return "unknown"
        if self.write_rate >= FAST_DISK:
            return "fast"
        return "slow" if self.write_rate < SLOW_DISK else "medium"


@frozen
class Machine:
    """Everything about the hardware and the libraries that a plan or a finding depends on. It goes through JSON.

    ``device``: what the learned stages would compute on; "cuda" only where torch can use the GPU. ``gpu``: the first
    graphics card, also where torch cannot use it; never None with "cuda". ``torch``: None where it is not installed.

    ``triton_works``: a kernel was compiled, run and gave the right answer; ``triton_reason`` says why not, else it is
    empty. ``attention``: the back ends of torch's scaled_dot_product_attention that gave the right answer on the
    device, of "flash", "cudnn", "efficient" and "math", fastest first. ``pytorch3d``: what it was compiled for, None
    where it is not installed; read from its files. ``expandable_segments``: torch's allocator can grow its segments
    here. ``pinned_memory``: memory can be locked for copies that overlap with computing.

    ``processor``: its name. ``cores``: logical ones that this process may use. ``ram_total``, ``ram_available``,
    ``swap_total``: bytes; swap is the pagefile on Windows. ``platform``: as sys.platform. ``data_disk``: of the data
    directory. ``models_disk``: of the cache that models are downloaded to.
    """

    device: DeviceKind
    processor: str
    platform: str
    cores: int
    ram_total: int
    ram_available: int
    data_disk: Disk
    models_disk: Disk
    gpu: Gpu | None = None
    torch: TorchBuild | None = None
    triton_works: bool = False
    triton_reason: str = ""
    attention: tuple[str, ...] = field(default=(), converter=tuple)
    pytorch3d: Pytorch3dBuild | None = None
    expandable_segments: bool = False
    pinned_memory: bool = False
    swap_total: int = 0

    @property
    def name(self) -> str:
        """Of the device that is computed on."""
        return self.gpu.name if self.gpu is not None and self.device != "cpu" else self.processor

    @property
    def vram_total(self) -> int | None:
        """Of the device that is computed on; None on the CPU and where memory is shared."""
        return self.gpu.vram_total if self.gpu is not None and self.device == "cuda" else None

    @property
    def vram_free(self) -> int | None:
        """As :attr:`vram_total`, as it was when the machine was probed."""
        return self.gpu.vram_free if self.gpu is not None and self.device == "cuda" else None

    @property
    def compute_capability(self) -> tuple[int, int] | None:
        """Of the device that is computed on; None where that is no NVIDIA GPU."""
        return self.gpu.compute_capability if self.gpu is not None and self.device == "cuda" else None

    @property
    def shares_display(self) -> bool:
        """Whether the device that is computed on draws a desktop too."""
        return self.gpu is not None and self.device != "cpu" and self.gpu.shares_display

    @property
    def bfloat16(self) -> bool:
        """Matrix products in bfloat16 by the hardware: compute capability 8.0 (NVIDIA CUDA C++ programming guide,
        "Compute capabilities"). False on the CPU and on other makers' GPUs, where it is not known."""
        return self.compute_capability is not None and self.compute_capability >= (8, 0)

    @property
    def float8(self) -> bool:
        """Matrix products in float8_e4m3fn by the hardware: compute capability 8.9 (the same)."""
        return self.compute_capability is not None and self.compute_capability >= (8, 9)


_converter = make_converter(forbid_extra_keys=True)


def machine_to_json(machine: Machine) -> str:
    """One line of JSON."""
    return _converter.dumps(machine, Machine)


def machine_from_json(text: str) -> Machine:
    """Raises ValueError when it is not JSON, and cattrs.BaseValidationError when it is no machine."""
    return _converter.loads(text, Machine)
