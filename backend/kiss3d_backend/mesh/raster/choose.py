"""Which back end draws on a device."""

from __future__ import annotations

import importlib
import logging
from functools import cache
from typing import Any

import torch

from kiss3d_backend.mesh.raster.probe import failure
from kiss3d_backend.mesh.raster.torch_interface import BackEnd, Choice, Rasterizer

log = logging.getLogger(__name__)

BACK_ENDS: dict[str, tuple[str, str, str | None]] = {
    "numba": ("kiss3d_backend.mesh.raster.torch_numba", "NumbaBackEnd", "numba"),
    "warp": ("kiss3d_backend.mesh.raster.torch_warp", "WarpBackEnd", "warp"),
    "pytorch3d": ("kiss3d_backend.mesh.raster.torch_pytorch3d", "Pytorch3dBackEnd", "pytorch3d"),
    "torch": ("kiss3d_backend.mesh.raster.torch_oracle", "TorchBackEnd", None),
}
"""Name: module, class, and the library that it needs besides torch."""

_BY_DEVICE = {"cpu": ("numba", "torch"), "cuda": ("warp", "torch")}
_OTHERWISE = ("torch",)


class NoRasterizer(RuntimeError):
    """No back end works on a device; the message says why for each."""


def choose(device: torch.device | str, wanted: str | None = None) -> Rasterizer:
    """The rasteriser for a device: the ``wanted`` back end, or the fastest one that passes the probe.

    A wanted back end that is missing, or fails its probe, is named in the reason and the next one is taken. ``wanted``
    is one of ``BACK_ENDS``; another name raises ValueError. Raises NoRasterizer when nothing works. The answer is
    probed once per process.
    """
    if wanted is not None and wanted not in BACK_ENDS:
        raise ValueError(f"there is no rasteriser {wanted!r}, only {', '.join(BACK_ENDS)}")
    device = torch.device(device)
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", torch.cuda.current_device())
    return _choose(device, wanted)


@cache
def _choose(device: torch.device, wanted: str | None) -> Rasterizer:
    usual = _BY_DEVICE.get(device.type, _OTHERWISE)
    names = usual if wanted is None else (wanted, *(name for name in usual if name != wanted))
    refused: list[str] = []
    for name in names:
        back_end = _load(name)
        problem = back_end if isinstance(back_end, str) else failure(back_end, device)
        if not isinstance(back_end, str) and problem is None:
            choice = Choice(name, str(device), _reason(name, wanted, usual, device, refused))
            log.info("The rasteriser is %s on %s: %s", choice.back_end, choice.device, choice.reason)
            return Rasterizer(back_end, choice)
        refused.append(f"{name} {problem}")
    raise NoRasterizer(f"No rasteriser works on {device}: {'; '.join(refused)}.")


def _load(name: str) -> BackEnd | str:
    """A back end, or why it cannot be had."""
    module, cls, library = BACK_ENDS[name]
    try:
        back_end: Any = getattr(importlib.import_module(module), cls)()
    except ModuleNotFoundError as error:
        if error.name == library:
            return "is not installed"
        return f"cannot be loaded (it needs {error.name}, which is not installed)"
    except Exception as error:  # whatever a broken installation may raise
        return f"cannot be loaded ({type(error).__name__}: {str(error)[:200]})"
    return back_end


def _reason(name: str, wanted: str | None, usual: tuple[str, ...], device: torch.device, refused: list[str]) -> str:
    if name == wanted:
        reason = "it was asked for"
    elif name == usual[0]:
        reason = f"it is the fastest on {device.type}"
    else:
        reason = f"it works on {device.type}"
    return f"{reason}, and its test picture is right" + "".join(f"; {problem}" for problem in refused)
