"""What a stage computes and moves, counted while it runs: operations of matrix products, bytes of all operations."""

from __future__ import annotations

from typing import Any

import attrs
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


@attrs.frozen
class Counted:
    """Of one stage. ``float8``, ``attention``, ``other``: operations, two for a multiplication with its addition, in
    float8 products, in attention, and in all other products and convolutions. ``moved``: bytes that operations read and
    wrote on the device, each alone, as written: a compiled graph moves less."""

    float8: int = 0
    attention: int = 0
    other: int = 0
    moved: int = 0

    def __sub__(self, before: Counted) -> Counted:
        return Counted(*(now - then for now, then in zip(attrs.astuple(self), attrs.astuple(before), strict=True)))


class Counting:
    """A context in which operations of torch are counted; they take longer meanwhile."""

    def __init__(self) -> None:
        # torch counts the attention of graphics cards alone.
        on_processor = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        self._products = FlopCounterMode(display=False, custom_mapping={on_processor: _attention})
        self._traffic = _Traffic()

    def __enter__(self) -> Counting:
        self._products.__enter__()
        self._traffic.__enter__()
        return self

    def __exit__(self, *what: Any) -> None:
        self._traffic.__exit__(*what)
        self._products.__exit__(*what)

    @property
    def total(self) -> Counted:
        """Since the context was entered."""
        by_kind = {"float8": 0, "attention": 0, "other": 0}
        for operation, count in self._products.get_flop_counts().get("Global", {}).items():
            name = str(operation)
            kind = "float8" if "scaled_mm" in name else "attention" if "attention" in name else "other"
            by_kind[kind] += int(count)
        return Counted(**by_kind, moved=self._traffic.moved)


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Operations of the two products, of shapes (batch, heads, tokens, width)."""
    batch, heads, tokens, width = query
    return 2 * batch * heads * tokens * key[2] * (width + value[3])


class _Traffic(TorchDispatchMode):
    """Adds up the bytes of what operations take and return, views aside."""

    def __init__(self) -> None:
        super().__init__()
        self.moved = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.is_view or "empty" in func.name():
            return result
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        self.moved += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result
