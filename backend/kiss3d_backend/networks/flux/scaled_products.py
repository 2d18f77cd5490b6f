"""Matrix products in float8: the input is rounded to the weight's own precision, the sums are wide.

Formats: https://arxiv.org/abs/2209.05433. The stored weights are float8_e4m3fn without a scale; an input gets one, so
that its largest value is near the largest of the format.
"""

from __future__ import annotations

import weakref

import torch
from torch import nn

from kiss3d_backend.networks.flux.execution import ActivationScale
from kiss3d_backend.networks.flux.stored_layers import StoredLinear, widened_product

LARGEST = 448.0
"""Of float8_e4m3fn; the next step, were there one, would begin at 464."""

SMALLEST_SCALE = 2.0**-15
"""Its inverse is finite in every dtype; inputs that are smaller all over lose nothing but exponents."""

FEWEST_ROWS = 16
"""Products of fewer rows wait for the weight to be read, and are done in full precision."""

_MULTIPLE = 16
"""Of both sides of a weight, which the hardware wants."""

_EXPONENT = 0x7F800000


def quantised(x: torch.Tensor, scale_of: ActivationScale) -> tuple[torch.Tensor, torch.Tensor]:
    """``x`` (rows, n) as float8_e4m3fn (rows, n), and the float32 scale that it is to be multiplied by.

    The scale, (1, 1) or (rows, 1), is a power of two: dividing by it is exact in any dtype, so the only error is
    float8's own, half of the last of 4 bits. A float format gains nothing from using its range to the last bit.
    """
    if scale_of == "row":
        largest = torch.linalg.vector_norm(x, float("inf"), dim=1, keepdim=True)
    else:
        largest = torch.linalg.vector_norm(x, float("inf")).reshape(1, 1)
    ratio = largest.float() / LARGEST
    # The exponent alone is the power of two below; twice that is above.
    scale = (2.0 * (ratio.view(torch.int32) & _EXPONENT).view(torch.float32)).clamp_min(SMALLEST_SCALE)
    return (x * scale.reciprocal().to(x.dtype)).to(torch.float8_e4m3fn), scale


def defined_product(
    x: torch.Tensor, scale: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype
) -> torch.Tensor:
    """scale x W' + b in float32, rounded to ``dtype``: what :func:`float8_product` computes, for any device."""
    product = scale * (x.float() @ weight.float().T)
    return (product if bias is None else product + bias.float()).to(dtype)


def float8_product(
    x: torch.Tensor, scale: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype
) -> torch.Tensor:
    """scale x W' + b by the hardware's float8 product. x: (rows, in) and weight: (out, in) float8_e4m3fn."""
    one = torch.ones((1, 1), dtype=torch.float32, device=x.device)
    whole = scale.numel() == 1
    return torch._scaled_mm(  # pyright: ignore[reportPrivateImportUsage]
        x,
        weight.t(),
        scale_a=scale.reshape(()) if whole else scale,
        scale_b=one.reshape(()) if whole else one.expand(1, weight.shape[0]).contiguous(),
        bias=None if bias is None else bias.to(dtype),
        out_dtype=dtype,
        use_fast_accum=True,
    )


class ScaledProduct:
    """A product for :class:`StoredLinear`. Layers that share it and read the same input one after the other share its
    rounding too."""

    def __init__(self, scale_of: ActivationScale) -> None:
        self._scale_of: ActivationScale = scale_of
        self._seen: weakref.ref[torch.Tensor] | None = None
        self._rounded: tuple[torch.Tensor, torch.Tensor] | None = None

    def __call__(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if rows.shape[0] < FEWEST_ROWS:
            return widened_product(x, weight, bias)
        rounded, scale = self._of(x, rows)
        product = float8_product if x.is_cuda else defined_product
        return product(rounded, scale, weight, bias, x.dtype).reshape(*x.shape[:-1], weight.shape[0])

    def _of(self, x: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # A compiler sees by itself that the same is computed twice.
        if torch.compiler.is_compiling():
            return quantised(rows, self._scale_of)
        if self._rounded is None or self._seen is None or self._seen() is not x:
            self._rounded = quantised(rows, self._scale_of)
            self._seen = weakref.ref(x)
        return self._rounded

    def forget(self) -> None:
        """Frees what is kept of the last input."""
        self._seen = self._rounded = None


def use_scaled_products(blocks: list[nn.Module], product: ScaledProduct) -> int:
    """Gives ``product`` to the layers of ``blocks`` that see every token, and says how many they are.

    Not to modulations, which have one row and shift all tokens alike, nor to weights that are not float8 or whose
    sides are no multiples of 16.
    """
    count = 0
    for block in blocks:
        for name, layer in block.named_modules():
            if isinstance(layer, StoredLinear) and "norm" not in name and _fits(layer.weight):
                layer.product = product
                count += 1
    return count


def _fits(weight: torch.Tensor) -> bool:
    return weight.dtype == torch.float8_e4m3fn and all(side % _MULTIPLE == 0 for side in weight.shape)
