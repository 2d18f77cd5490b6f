"""A cancel that is noticed inside a network, not only between its evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch


@contextmanager
def interruptible(module: torch.nn.Module, check_cancelled: Callable[[], None]) -> Iterator[None]:
    """``check_cancelled`` is called before every layer of ``module`` that runs inside; what it raises ends the run.

    Layers are the members of the module's lists (``torch.nn.ModuleList``), at any depth.
    """

    def check(_layer: torch.nn.Module, _arguments: Any) -> None:
        check_cancelled()

    with ExitStack() as hooks:
        for part in module.modules():
            if isinstance(part, torch.nn.ModuleList):
                for layer in part:
                    hooks.callback(layer.register_forward_pre_hook(check).remove)
        yield
