"""Products in float8 against float64, within what the format allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.fakes.tiny import flux as tiny
from tests.learned.flux_models import CPU

from kiss3d_backend.networks.flux.denoiser import Denoiser, block_list, refuse_without_float8
from kiss3d_backend.networks.flux.execution import ActivationScale, FluxExecution
from kiss3d_backend.networks.flux.parts import load_denoiser
from kiss3d_backend.networks.flux.scaled_products import (
    FEWEST_ROWS,
    SMALLEST_SCALE,
    ScaledProduct,
    defined_product,
    float8_product,
    quantised,
)
from kiss3d_backend.networks.flux.single_file import open_flux
from kiss3d_backend.networks.flux.stored_layers import LowRank, StoredLinear, widened_product
from kiss3d_protocol.errors import ParamsInvalid

FP8 = torch.float8_e4m3fn
HALF_STEP = 2.0**-4
"""Half of the last of the 4 significant bits (one is implied), as a share of the value."""
TINIEST = 2.0**-10
"""Half of the smallest subnormal of the format, 2^-9."""
SCALES: tuple[ActivationScale, ...] = ("tensor", "row")


def inputs(rows: int = 40, wide: int = 96, spread: float = 3.0) -> torch.Tensor:
    """Values of many magnitudes, in rows of many magnitudes."""
    generator = torch.Generator().manual_seed(7)
    sizes = torch.exp(spread * torch.randn(rows, 1, generator=generator))
    return torch.randn(rows, wide, generator=generator) * sizes


def weights(out: int = 64, wide: int = 96) -> torch.Tensor:
    return (torch.randn(out, wide, generator=torch.Generator().manual_seed(8)) / 8).to(FP8)


def stored(weight: torch.Tensor, bias: torch.Tensor | None = None) -> StoredLinear:
    return StoredLinear(
        torch.nn.Parameter(weight, requires_grad=False),
        None if bias is None else torch.nn.Parameter(bias, requires_grad=False),
    )


@pytest.mark.parametrize("scale_of", SCALES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e5])
def test_rounding_errs_by_half_a_step_of_the_format(scale_of: ActivationScale, dtype: torch.dtype, size: float) -> None:
    x = (inputs() * size).to(dtype)
    rounded, scale = quantised(x, scale_of)
    assert rounded.dtype == FP8
    assert scale.shape == ((1, 1) if scale_of == "tensor" else (40, 1))
    assert torch.equal(torch.exp2(torch.log2(scale).round()), scale), "powers of two"
    wide, back = x.double(), rounded.double() * scale.double()
    assert back.isfinite().all()
    assert ((back - wide).abs() <= HALF_STEP * wide.abs() + TINIEST * scale.double()).all()
    assert (back - wide).abs().max() > 0
    if scale_of == "row":
        ample = scale[:, 0] > SMALLEST_SCALE
        assert ample.sum() > 10
        assert (rounded.float().abs().amax(1)[ample] >= 224).all(), "the upper end of the format is used in every row"


@pytest.mark.parametrize("scale_of", SCALES)
def test_nothing_and_the_largest_are_rounded_to_what_they_are(scale_of: ActivationScale) -> None:
    x = torch.zeros(20, 16, dtype=torch.bfloat16)
    x[3, 5] = torch.finfo(torch.bfloat16).max
    x[4, 5] = 448.0
    rounded, scale = quantised(x, scale_of)
    back = rounded.double() * scale
    assert back[3, 5] == pytest.approx(float(x[3, 5]), rel=HALF_STEP)
    assert back[0].abs().max() == 0
    if scale_of == "row":
        assert back[4, 5] == 448.0


@pytest.mark.parametrize("scale_of", SCALES)
@pytest.mark.parametrize("bias", [False, True])
def test_product_is_that_of_float64_within_the_bound(scale_of: ActivationScale, bias: bool) -> None:
    x, weight = inputs(spread=1.0), weights()
    b = torch.linspace(-1, 1, 64).to(FP8) if bias else None
    got = ScaledProduct(scale_of)(x, weight, b).double()
    wide, w = x.double(), weight.double()
    expected = wide @ w.T + (0 if b is None else b.double())
    _, scale = quantised(x, scale_of)
    bound = HALF_STEP * wide.abs() @ w.abs().T + TINIEST * scale.double() * w.abs().sum(1)
    error = (got - expected).abs()
    assert (error <= bound * (1 + 1e-5) + 1e-5).all()
    assert error.max() > 1e-3, "it is rounded"
    # Errors of both signs largely cancel: in the mean the product is far better than its bound.
    assert error.mean() < bound.mean() / 4


@pytest.mark.parametrize("scale_of", SCALES)
@pytest.mark.parametrize("bias", [False, True])
def test_hardware_product_is_called_by_its_definition(scale_of: ActivationScale, bias: bool) -> None:
    """torch has it on the CPU too, with the same arguments."""
    rounded, scale = quantised(inputs(48), scale_of)
    weight = weights()
    b = torch.linspace(-1, 1, 64).to(FP8) if bias else None
    got = float8_product(rounded, scale, weight, b, torch.bfloat16)
    expected = defined_product(rounded, scale, weight, b, torch.bfloat16)
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), expected.float(), rtol=2**-7, atol=2**-7)


def test_few_rows_are_done_in_full_precision() -> None:
    x, weight = inputs(FEWEST_ROWS - 1, 96), weights()
    assert torch.equal(ScaledProduct("tensor")(x, weight, None), widened_product(x, weight, None))


def test_one_rounding_serves_layers_that_read_the_same_input(monkeypatch: pytest.MonkeyPatch) -> None:
    from kiss3d_backend.networks.flux import scaled_products

    rounded: list[float] = []

    def counted(x: torch.Tensor, scale_of: ActivationScale) -> Any:
        rounded.append(float(x[0, 0]))
        return quantised(x, scale_of)

    monkeypatch.setattr(scaled_products, "quantised", counted)
    product, weight = ScaledProduct("tensor"), weights()
    x, other = inputs()[None], inputs()[None] + 1
    same = [product(x, weight, None), product(x, weights(32), None), product(x, weight, None)]
    assert len(rounded) == 1
    assert torch.equal(same[0], same[2])
    changed = product(other, weight, None)
    assert len(rounded) == 2
    assert not torch.equal(changed, same[0])
    del other
    product(inputs()[None] + 2, weight, None)
    assert len(rounded) == 3, "a tensor that is gone is not taken for one in its place"
    product.forget()
    product(x, weight, None)
    assert len(rounded) == 4


def test_loras_stay_beside_a_scaled_product_in_full_precision() -> None:
    x = inputs(spread=0.5)
    layer = stored(weights())
    layer.product = ScaledProduct("row")
    plain = layer(x)
    generator = torch.Generator().manual_seed(1)
    down, up = torch.randn(4, 96, generator=generator), torch.randn(64, 4, generator=generator)
    layer.adapters["one"] = LowRank(down, up, 0.5)
    added = (layer(x) - plain).double()
    torch.testing.assert_close(added, 0.5 * x.double() @ down.double().T @ up.double().T, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("scale_of", SCALES)
def test_transformer_in_float8_is_near_the_upcast_one(tmp_path: Path, scale_of: ActivationScale) -> None:
    file = open_flux(tiny.write_transformer_file(tmp_path))

    def load(execution: FluxExecution) -> Denoiser:
        return load_denoiser(file.transformer, CPU, torch.float32, execution)

    one, other = load(FluxExecution()), load(FluxExecution(products="scaled", activation_scale=scale_of))
    scaled = {
        name
        for block in block_list(other.model)
        for name, layer in block.named_modules()
        if isinstance(layer, StoredLinear) and isinstance(layer.product, ScaledProduct)
    }
    assert scaled == {
        *(f"attn.{name}" for name in ("to_q", "to_k", "to_v", "to_out.0", "to_add_out")),
        *(f"attn.add_{name}_proj" for name in "qkv"),
        *("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2", "proj_mlp", "proj_out"),
    }
    generator = torch.Generator().manual_seed(3)
    given = {
        "hidden_states": torch.randn(1, 40, 16, generator=generator),
        "encoder_hidden_states": torch.randn(1, 24, 32, generator=generator),
        "pooled_projections": torch.randn(1, 64, generator=generator),
        "timestep": torch.tensor([0.7]),
        "guidance": torch.tensor([3.5]),
        "img_ids": torch.rand(40, 3, generator=generator),
        "txt_ids": torch.zeros(24, 3),
    }
    with torch.inference_mode():
        expected, got = (denoiser.model(**given).sample for denoiser in (one, other))
    error = (got - expected).norm() / expected.norm()
    # Eight or so products in a row, each off by about 2^-4 / sqrt(3) of what it adds.
    assert 0.001 < error < 0.1


def test_cards_without_float8_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda", 0)
    for capability in ((7, 5), (8, 6)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        with pytest.raises(ParamsInvalid, match="float8"):
            refuse_without_float8(gpu)
    for capability in ((8, 9), (9, 0), (12, 0)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, found=capability: found)
        refuse_without_float8(gpu)
    refuse_without_float8(CPU)
