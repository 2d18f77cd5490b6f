"""What torch's memory allocator can do here."""

from __future__ import annotations

import platform
import sys
import warnings

import torch


def expandable_segments() -> bool:
    """Whether the allocator of CUDA can grow its segments. Must be asked before anything is allocated.

    Torch has this on Linux alone, and the driver's part of it fails under WSL; elsewhere the setting is answered with a
    warning and ignored. So it is tried only on Linux, and believed only when nothing was said.
    """
    if sys.platform != "linux" or "microsoft" in platform.release().lower():
        return False
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            _set_allocator("expandable_segments:True")
            torch.zeros(1, device="cuda").cpu()
    except Exception:  # the driver's errors have no class of their own
        return False
    return not any("expandable_segments not supported" in str(warning.message) for warning in said)


def _set_allocator(setting: str) -> None:
    """Torch reads its variable when it is loaded; to change it later there are only these two, by version."""
    newer = getattr(torch._C, "_accelerator_setAllocatorSettings", None)
    (newer or torch.cuda.memory._set_allocator_settings)(setting)


def pinned_memory() -> bool:
    """Whether memory can be locked for copies that overlap with computing."""
    try:
        return torch.zeros(1).pin_memory().is_pinned()
    except RuntimeError:
        return False
