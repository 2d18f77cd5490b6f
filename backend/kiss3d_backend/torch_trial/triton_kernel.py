"""Whether Triton works: a kernel is compiled (some systems lack the compiler), run, and its answer compared."""

from __future__ import annotations

import importlib

import torch

LENGTH = 100


def triton_problem(device: torch.device) -> str:
    """Why Triton cannot be used on a GPU; empty when it can."""
    try:
        double = importlib.import_module("kiss3d_backend.torch_trial.doubling").double
    except ModuleNotFoundError as error:
        return f"it needs {error.name}, which is not installed" if error.name != "triton" else "it is not installed"
    except Exception as error:  # whatever a broken installation may raise
        return f"it cannot be imported ({type(error).__name__}: {str(error)[:200]})"
    try:
        values = torch.arange(LENGTH, device=device, dtype=torch.float32)
        found = torch.zeros_like(values)
        double[(1,)](values, found, LENGTH, BLOCK=128)
        right = torch.equal(found.cpu(), torch.arange(LENGTH) * 2.0)
    except Exception as error:  # whatever a compiler or a driver may raise
        return f"its kernel fails ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    return "" if right else "its kernel computes something else"
