"""Modules without storage for their parameters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook


@contextmanager
def parameters_on_meta() -> Iterator[None]:
    """Modules that are made inside have their parameters on the meta device; their buffers are real.

    Under ``torch.device("meta")`` buffers that no file holds (position numbers, frequencies) would be lost as well.
    Parameters that a module shares stay shared. The hook is torch's own and works for the whole process: make no
    other modules in another thread meanwhile.
    """
    # The annotation says that hooks return nothing; by the documentation a parameter takes the other's place.
    hook = register_module_parameter_registration_hook(_without_storage)  # pyright: ignore[reportArgumentType]
    try:
        yield
    finally:
        hook.remove()


def _without_storage(
    module: torch.nn.Module, name: str, parameter: torch.nn.Parameter | None
) -> torch.nn.Parameter | None:
    if parameter is None or parameter.is_meta:
        return None
    without = torch.nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)
    # transformers passes such a parameter by when it draws initial weights, as where it loads a model itself. Nobody
    # would keep them, and on the meta device torch carries the drawing out in Python, most of the time of making one.
    without._is_hf_initialized = True  # pyright: ignore[reportAttributeAccessIssue]
    return without
