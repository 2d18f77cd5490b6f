"""A machine with faults, for a process: a folder that goes to the front of ``PYTHONPATH`` and answers for the hardware.

Nothing of Kiss3D is replaced. The folder has distributions of its own: ``pynvml`` is the driver, ``torch`` is the
installed one with another build's answers, ``pytorch3d`` has a compiled part without CUDA, ``triton`` cannot be
imported, and ``sitecustomize`` makes a disk look full.
"""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

GIB = 2**30

_DRIVER = """
from types import SimpleNamespace

class NVMLError(Exception): ...

NVML_DRIVER_WDDM = 0

def _same(*_): return "card"
def nvmlInit(): ...
def nvmlShutdown(): ...
nvmlDeviceGetHandleByIndex = nvmlDeviceGetHandleByUUID = _same
def nvmlDeviceGetName(card): return "NVIDIA GeForce RTX 4070"
def nvmlDeviceGetMemoryInfo(card): return SimpleNamespace(total=12 * 2**30, free=11 * 2**30)
def nvmlDeviceGetCudaComputeCapability(card): return 8, 9
def nvmlSystemGetCudaDriverVersion_v2(): return {newest}
def nvmlSystemGetDriverVersion(): return "{version}"
def nvmlDeviceGetDisplayActive(card): return 0
"""

_TORCH = """
import sys
from pathlib import Path

folder = str(Path(__file__).parents[1])
sys.path.remove(folder)
del sys.modules["torch"]
import torch
sys.path.insert(0, folder)
torch.__version__, torch.version.cuda = "2.13.0+cu130", "13.0"
"""

_TOO_OLD = """
def init():
    raise RuntimeError("The NVIDIA driver on your system is too old (found version 12040).")

torch.cuda.init = init
"""

_RUNS = """
from types import SimpleNamespace

card = SimpleNamespace(name="NVIDIA GeForce RTX 4070", major=8, minor=9, uuid="card", total_memory=12 * 2**30)
processor = torch.device("cpu")
torch.device = lambda *_: processor
torch.cuda.init = lambda: None
torch.cuda.device_count = lambda: 1
torch.cuda.get_device_properties = lambda _: card
torch.cuda.mem_get_info = lambda _: (11 * 2**30, 12 * 2**30)
"""
"""The card of this torch is the processor under another name: what is tried on it works."""

_DISK = """
import shutil

asked = shutil.disk_usage
shutil.disk_usage = lambda path: asked(path)._replace(free={free})
"""


class FaultyMachine:
    """``folder``: of the faults; for ``PYTHONPATH``. Every machine has an RTX 4070."""

    def __init__(self, folder: Path, *, driver: tuple[int, str] = (13000, "580.65.06")) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self._module("pynvml.py", _DRIVER.format(newest=driver[0], version=driver[1]))

    def with_torch(self, *, runs: bool) -> FaultyMachine:
        """A torch for CUDA 13; ``runs``: it can use the card, otherwise the driver is too old for it."""
        self._module("torch/__init__.py", _TORCH + (_RUNS if runs else _TOO_OLD))
        self._module("torch-2.13.0+cu130.dist-info/METADATA", "Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n")
        return self

    def without_triton(self) -> FaultyMachine:
        self._module("triton.py", 'raise ModuleNotFoundError("No module named triton", name="triton")\n')
        return self

    def with_pytorch3d_for_the_processor(self) -> FaultyMachine:
        self._module("pytorch3d/__init__.py", "")
        compiled = self.folder / "pytorch3d" / f"_C{EXTENSION_SUFFIXES[0]}"
        compiled.write_bytes(b"\x7fELF" + b"\0" * 64 + b"Not compiled with GPU support" + b"\0" * 64)
        return self

    def with_free_disk(self, free: int) -> FaultyMachine:
        self._module("sitecustomize.py", _DISK.format(free=free))
        return self

    def _module(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
