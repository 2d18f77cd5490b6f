"""LoRA files in their formats, beside stored weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from safetensors.torch import load_file, save_file
from tests.fakes.tiny import flux as tiny
from tests.learned.flux_models import CPU, SIZE

from kiss3d_backend.networks.checkpoint import open_tensors
from kiss3d_backend.networks.flux.lora import read_lora, remove_lora, set_lora
from kiss3d_backend.networks.flux.single_file import open_flux
from kiss3d_backend.networks.flux.stored_layers import LowRank, StoredEmbedding, StoredLinear
from kiss3d_backend.networks.flux.transformer import as_diffusers, load_transformer
from kiss3d_protocol.errors import ModelFileCorrupt, ModelKeysWrong


@pytest.fixture
def transformer(tmp_path: Path) -> FluxTransformer2DModel:
    return load_transformer(open_flux(tiny.write_transformer_file(tmp_path / "flux")).transformer, CPU, torch.float32)


def _layer(transformer: FluxTransformer2DModel, name: str) -> StoredLinear:
    layer = transformer.get_submodule(name)
    assert isinstance(layer, StoredLinear)
    return layer


def _effective(layer: StoredLinear) -> torch.Tensor:
    """The matrix that the layer with its LoRAs stands for."""
    with torch.inference_mode():
        result = layer(torch.eye(layer.in_features)) - layer(torch.zeros(1, layer.in_features))
    return result.T


def test_kohya_with_fused_layers_is_its_definition(tmp_path: Path, transformer: FluxTransformer2DModel) -> None:
    """W + alpha / rank up down in the original's fused layers, converted like any weights, is what ours compute."""
    weights = {
        name: value.float() for name, value in load_file(tmp_path / "flux" / "flux1-dev-fp8-e4m3fn.safetensors").items()
    }
    (path,) = tiny.write_kohya_lora(tmp_path / "lora").paths.values()
    tensors = load_file(path)
    for layer in tiny.KOHYA_LAYERS:
        name = "lora_unet_" + layer.replace(".", "_")
        up, down = tensors[f"{name}.lora_up.weight"].float(), tensors[f"{name}.lora_down.weight"].float()
        weights[f"{layer}.weight"] = weights[f"{layer}.weight"] + tensors[f"{name}.alpha"] / up.shape[1] * up @ down
    expected = as_diffusers(weights, "merged")
    lora = read_lora(path, transformer)
    assert len(lora.layers) == 3 + 3 + 1 + 1 + 4 + 1 + 1
    set_lora(transformer, "kiss3dgen", lora)
    for name in lora.layers:
        torch.testing.assert_close(_effective(_layer(transformer, name)), expected[f"{name}.weight"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("prefix", ["transformer.", "", "base_model.model."])
@pytest.mark.parametrize(("alpha", "scale"), [(None, 1.0), (6.0, 1.5)])
def test_peft_is_its_definition(
    tmp_path: Path, transformer: FluxTransformer2DModel, prefix: str, alpha: float | None, scale: float
) -> None:
    (path,) = tiny.write_peft_lora(tmp_path / "lora", alpha=alpha).paths.values()
    if prefix != "transformer.":
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
        tensors = tiny.peft_lora(SIZE, prefix=prefix)
        save_file(tensors, path, metadata)
    factors = tiny.peft_lora(SIZE, prefix="")
    lora = read_lora(path, transformer)
    assert len(lora.layers) == 7
    before = {name: _effective(_layer(transformer, name)) for name in lora.layers}
    set_lora(transformer, "turbo", lora, 0.5)
    for name in lora.layers:
        product = factors[f"{name}.lora_B.weight"].float() @ factors[f"{name}.lora_A.weight"].float()
        expected = before[name] + 0.5 * scale * product
        torch.testing.assert_close(_effective(_layer(transformer, name)), expected, atol=1e-5, rtol=0)


def test_alpha_may_be_a_key_or_a_setting_of_one_layer(tmp_path: Path, transformer: FluxTransformer2DModel) -> None:
    tensors = tiny.peft_lora(SIZE)
    tensors["transformer.proj_out.alpha"] = torch.tensor(2.0)
    layer = "transformer_blocks.0.attn.to_q"
    settings = f'{{"transformer.lora_alpha": 8, "transformer.alpha_pattern": {{"{layer}": 1}}}}'
    save_file(tensors, tmp_path / "l.safetensors", {"lora_adapter_metadata": settings})
    scales = {
        name: factors.scale for name, factors in read_lora(tmp_path / "l.safetensors", transformer).layers.items()
    }
    assert (scales.pop("proj_out"), scales.pop(layer)) == (0.5, 0.25)
    assert set(scales.values()) == {2.0}


def test_loras_add_up_and_leave_no_trace(tmp_path: Path, transformer: FluxTransformer2DModel) -> None:
    (kohya,) = tiny.write_kohya_lora(tmp_path / "a").paths.values()
    (peft,) = tiny.write_peft_lora(tmp_path / "b").paths.values()
    layer = _layer(transformer, "transformer_blocks.0.attn.to_q")
    stored, keys = layer.weight.view(torch.uint8).clone(), set(transformer.state_dict())
    plain = _effective(layer)
    set_lora(transformer, "one", read_lora(kohya, transformer))
    first = _effective(layer)
    set_lora(transformer, "two", read_lora(peft, transformer))
    both = _effective(layer)
    remove_lora(transformer, "one")
    torch.testing.assert_close(both - first, _effective(layer) - plain, atol=1e-5, rtol=0)
    assert (first - plain).abs().max() > 1e-3
    set_lora(transformer, "two", read_lora(peft, transformer), 2.0)
    torch.testing.assert_close(_effective(layer) - plain, 2 * (both - first), atol=1e-5, rtol=0)
    remove_lora(transformer, "two")
    assert torch.equal(_effective(layer), plain)
    assert torch.equal(layer.weight.view(torch.uint8), stored)
    assert set(transformer.state_dict()) == keys


def test_tensors_for_the_text_encoders_are_reported(tmp_path: Path, transformer: FluxTransformer2DModel) -> None:
    tensors = tiny.kohya_lora(SIZE)
    name = "lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"
    tensors[name] = torch.zeros(2, 64)
    save_file(tensors, tmp_path / "l.safetensors")
    assert read_lora(tmp_path / "l.safetensors", transformer).text_encoder_names == (name,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("unknown", "1 tensors of no known layer: lora_unet_double_blocks_7_img_mlp_0.lora_up.weight"),
        ("strange", "of no known layer: lora_unet_single_blocks_0_linear1.hada_w1_a"),
        ("half", "without their other half, for single_blocks_1_linear2"),
        ("misshapen", "single_blocks_1_linear2 is .* 320 inputs and 64 outputs"),
        ("empty", "holds no LoRA"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, transformer: FluxTransformer2DModel, change: str, message: str
) -> None:
    tensors = tiny.kohya_lora(SIZE)
    name = "lora_unet_single_blocks_1_linear2"
    if change == "unknown":
        tensors["lora_unet_double_blocks_7_img_mlp_0.lora_up.weight"] = torch.zeros(2, 2)
    elif change == "strange":
        tensors["lora_unet_single_blocks_0_linear1.hada_w1_a"] = torch.zeros(2, 2)
    elif change == "half":
        del tensors[f"{name}.lora_up.weight"]
    elif change == "misshapen":
        tensors[f"{name}.lora_down.weight"] = torch.zeros(3, 10)
    else:
        tensors = {"lora_te1_x.alpha": torch.tensor(1.0)}
    save_file(tensors, tmp_path / "l.safetensors")
    with pytest.raises(ModelKeysWrong, match=message):
        read_lora(tmp_path / "l.safetensors", transformer)


def test_metadata_that_is_no_json_is_a_corrupt_file(tmp_path: Path, transformer: FluxTransformer2DModel) -> None:
    save_file(tiny.peft_lora(SIZE), tmp_path / "l.safetensors", {"lora_adapter_metadata": "{"})
    with pytest.raises(ModelFileCorrupt):
        read_lora(tmp_path / "l.safetensors", transformer)


def test_stored_layer_computes_in_the_dtype_it_is_told() -> None:
    weight = torch.nn.Parameter(torch.randn(3, 4).to(torch.float8_e4m3fn), requires_grad=False)
    x = torch.randn(2, 4, dtype=torch.bfloat16)
    assert StoredLinear(weight, None)(x).dtype == torch.bfloat16
    wide = StoredLinear(weight, None, torch.float32)
    torch.testing.assert_close(wide(x), x.float() @ weight.float().T)
    wide.product = lambda x, weight, bias: torch.zeros(x.shape[0], weight.shape[0])
    wide.adapters["one"] = LowRank(torch.ones(1, 4), torch.ones(3, 1), 2.0)
    torch.testing.assert_close(wide(x), 2 * x.float().sum(1, keepdim=True).expand(2, 3))


def test_stored_table_gives_its_rows(tmp_path: Path) -> None:
    for dtype in (torch.float8_e4m3fn, torch.float16):
        weight = torch.nn.Parameter(torch.randn(6, 4).to(dtype), requires_grad=False)
        rows = StoredEmbedding(weight, torch.float32)(torch.tensor([[4, 0]]))
        assert torch.equal(rows, weight.float()[[4, 0]][None])


def test_views_of_the_file_are_not_copied(tmp_path: Path) -> None:
    (path,) = tiny.write_transformer_file(tmp_path).paths.values()
    tensors = open_tensors(path)
    pieces = as_diffusers(tensors, "f")
    whole = tensors["double_blocks.0.img_attn.qkv.weight"]
    key = pieces["transformer_blocks.0.attn.to_k.weight"]
    assert key.untyped_storage().nbytes() >= whole.untyped_storage().nbytes(), "a slice of the mapped file"
