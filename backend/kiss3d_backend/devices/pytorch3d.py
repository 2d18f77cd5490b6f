"""What an installed pytorch3d was compiled for, read from its files: it is neither imported nor run.

A build for the CPU loads and works until it is given something on the GPU, minutes into a job; then it says "Not
compiled with GPU support". That sentence is in the compiled part of such a build. In that of the other is the section
that CUDA's compiler puts the GPU's code into (NVIDIA, "CUDA binary utilities").
"""

from __future__ import annotations

import mmap
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

from kiss3d_backend.devices.machine import Pytorch3dBuild

# ".nv_fatbin" in ELF files; in PE files the names of sections have eight characters.
CUDA_MARK = b".nv_fatb"
CPU_MARK = b"Not compiled with GPU support"


def pytorch3d_build() -> Pytorch3dBuild | None:
    """None where it is not installed; "unknown" where its compiled part is missing or has neither mark."""
    try:
        spec = find_spec("pytorch3d")
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    for folder in spec.submodule_search_locations:
        for suffix in EXTENSION_SUFFIXES:
            path = Path(folder) / f"_C{suffix}"
            if path.is_file():
                return _build_of(path)
    return "unknown"


def _build_of(extension: Path) -> Pytorch3dBuild:
    try:
        with extension.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content.find(CUDA_MARK) >= 0:
                return "cuda"
            return "cpu" if content.find(CPU_MARK) >= 0 else "unknown"
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return "unknown"
