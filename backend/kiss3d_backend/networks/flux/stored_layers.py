"""Layers that keep their weights as the file has them (float8) and compute in a wider type.

float8_e4m3fn has no arithmetic of its own outside of scaled matrix products: a weight is widened when it is used and
forgotten again, so that a model takes the memory of its file and one layer more.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


def widened_product(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """x W' + b, with weight and bias widened to the dtype of ``x``. x: (..., in), weight: (out, in), bias: (out,)."""
    return functional.linear(x, weight.to(x.dtype), None if bias is None else bias.to(x.dtype))


class LowRank(nn.Module):
    """scale * up(down(x)): what one LoRA adds to a layer (https://arxiv.org/abs/2106.09685).

    ``down``: (rank, in), ``up``: (out, rank), floating point of any width.
    """

    def __init__(self, down: torch.Tensor, up: torch.Tensor, scale: float) -> None:
        super().__init__()
        self.register_buffer("down", down, persistent=False)
        self.register_buffer("up", up, persistent=False)
        self.scale = scale

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Adds it to ``y`` (..., out), which is changed, for ``x`` (..., in) of the same dtype."""
        down, up = self.get_buffer("down"), self.get_buffer("up")
        # The narrow product is scaled, not the wide one, and the sum is part of the second product.
        narrow = functional.linear(x, down.to(x.dtype)) * self.scale
        y.view(-1, y.shape[-1]).addmm_(narrow.flatten(0, -2), up.to(x.dtype).t())
        return y


class StoredLinear(nn.Module):
    """A linear layer whose weight stays in the file's dtype, with LoRAs beside it that never touch it.

    ``weight``: (out, in), ``bias``: (out,) or None. ``compute_dtype``: of the product and its result; None takes the
    input's. ``product``: how a product with the stored weight is done; another one may use scaled float8 products.
    """

    def __init__(
        self, weight: nn.Parameter, bias: nn.Parameter | None, compute_dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.weight = weight
        self.register_parameter("bias", bias)
        self.adapters = nn.ModuleDict()
        self.compute_dtype = compute_dtype
        self.product: Product = widened_product

    @property
    def out_features(self) -> int:
        return self.weight.shape[0]

    @property
    def in_features(self) -> int:
        return self.weight.shape[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.compute_dtype is not None:
            x = x.to(self.compute_dtype)
        y = self.product(x, self.weight, self._parameters["bias"])
        for adapter in self.adapters.values():
            y = adapter(x, y)
        return y


class StoredEmbedding(nn.Module):
    """Rows of a table that stays in the file's dtype; only the rows that are asked for are widened.

    ``weight``: (rows, width).
    """

    def __init__(self, weight: nn.Parameter, compute_dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = weight
        self.compute_dtype = compute_dtype

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        # Indexing is not there for float8 on every device, but it is for bytes.
        if self.weight.element_size() == 1:
            rows = self.weight.view(torch.uint8)[numbers].view(self.weight.dtype)
        else:
            rows = self.weight[numbers]
        return rows.to(self.compute_dtype)


def store_linears(module: nn.Module) -> None:
    """Puts a :class:`StoredLinear` with the same parameters in the place of every ``nn.Linear`` below ``module``."""
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                setattr(parent, name, StoredLinear(child.get_parameter("weight"), child._parameters["bias"]))


def stored_names(module: nn.Module) -> frozenset[str]:
    """The parameters, by name, that belong to stored layers and therefore may have any dtype."""
    return frozenset(
        f"{name}.{leaf}" if name else leaf
        for name, child in module.named_modules()
        if isinstance(child, StoredLinear | StoredEmbedding)
        for leaf in ("weight", "bias")
    )
