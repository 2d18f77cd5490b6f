"""What a network would allocate, counted on the meta device: nothing is computed, every size is the real one.

Sizes are rounded up to 512 bytes, as torch's CUDA allocator does. Attention counts as a fused kernel does: its output
and one float32 a row and head. What kernels take for themselves (cuDNN's and cuBLAS's workspaces) is not seen.
"""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROUND = 512


class _FusedAttention(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            query, _, value = (*args, *((kwargs or {}).get(name) for name in ("query", "key", "value")[len(args) :]))[
                :3
            ]
            rows = query.new_empty(query.shape[:-1], dtype=torch.float32)
            out = query.new_empty((*query.shape[:-1], value.shape[-1]))
            del rows
            return out
        return func(*args, **(kwargs or {}))


class Allocations(TorchDispatchMode):
    """``now``: bytes that are alive. ``most``: that were at once. What existed before the mode began is not counted."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._fused = _FusedAttention()
        self._known: weakref.WeakKeyDictionary[torch.UntypedStorage, int] = weakref.WeakKeyDictionary()

    def __enter__(self) -> Allocations:
        self._fused.__enter__()
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._fused.__exit__(kind, error, trace)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {id(leaf.untyped_storage()) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        made = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor) and leaf.device.type == "meta":
                storage = leaf.untyped_storage()
                if storage not in self._known and id(storage) not in given:
                    self._count(storage)
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        size = -(-storage.nbytes() // ROUND) * ROUND
        self._known[storage] = size
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._gone, size)

    def _gone(self, size: int) -> None:
        self.now -= size
