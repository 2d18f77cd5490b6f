"""FLUX's files into modules: the published layout in full, at any size, and nothing in memory that need not be."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest
import torch
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers
from safetensors.torch import load_file, save_file
from tests.fakes.tiny import flux as tiny
from tests.learned.flux_models import CPU, plain_t5, plain_transformer
from tests.learned.flux_models import load_models as load_all

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.checkpoint import check_keys, open_tensors
from kiss3d_backend.networks.flux.autoencoder import decode_latents, encode_picture, load_autoencoder
from kiss3d_backend.networks.flux.single_file import open_flux
from kiss3d_backend.networks.flux.stored_layers import StoredLinear
from kiss3d_backend.networks.flux.text_encoders import load_clip, load_t5
from kiss3d_backend.networks.flux.transformer import TransformerShape, as_diffusers, load_transformer, rotary_axes
from kiss3d_protocol.errors import ModelFileMissing, ModelKeysWrong, ParamsInvalid

FULL = tiny.Size.published()


def test_layout_of_the_tiny_files_is_the_published_one_at_full_size() -> None:
    """1442 tensors in 17,246,524,772 bytes: what is left for the file's header is about 157 bytes a tensor."""
    layout = tiny.file_layout(FULL)
    assert len(layout) == 1442
    held = sum(torch.Size(shape).numel() * dtype.itemsize for shape, dtype in layout.values())
    assert 100 < (17_246_524_772 - held) / len(layout) < 250
    assert sum(torch.Size(shape).numel() for shape in tiny.transformer_shapes(FULL).values()) == 11_901_408_320


@pytest.mark.parametrize("guidance", [True, False])
def test_full_size_key_set_maps_without_rest_either_way(guidance: bool) -> None:
    shapes = tiny.transformer_shapes(FULL, guidance)
    tensors = {name: torch.empty(shape, dtype=tiny.FP8, device="meta") for name, shape in shapes.items()}
    shape = TransformerShape.of(shapes, "full")
    assert (shape.double_blocks, shape.single_blocks, shape.width, shape.guidance) == (19, 38, 3072, guidance)
    model = shape.build()
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    converted = as_diffusers(tensors, "full")
    check_keys(wanted, converted.shapes, "full")
    assert {tuple(converted[name].shape) == wanted[name] for name in wanted} == {True}
    assert model.config["axes_dims_rope"] == (16, 56, 56)


def test_every_row_goes_where_diffusers_puts_it() -> None:
    """Its converter knows the width 3072 only; columns take no part, so one of them is enough."""
    shapes = tiny.transformer_shapes(tiny.Size(width=3072, head=128, double=1, single=1))
    numbered = {
        name: (torch.arange(shape[0], dtype=torch.float32) + 100_000 * n).reshape(-1, *[1] * (len(shape) - 1))
        for n, (name, shape) in enumerate(shapes.items())
    }
    theirs = convert_flux_transformer_checkpoint_to_diffusers(dict(numbered))
    ours = as_diffusers(numbered, "numbered")
    assert set(ours) == set(theirs)
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=0)


def test_any_head_width_has_three_even_rotary_parts() -> None:
    assert rotary_axes(128) == (16, 56, 56)
    for width in range(8, 256, 2):
        parts = rotary_axes(width)
        assert sum(parts) == width
        assert all(part >= 0 and part % 2 == 0 for part in parts)


def test_float8_transformer_computes_like_diffusers_own_in_float32(tmp_path: Path) -> None:
    models = load_all(tmp_path)
    plain = plain_transformer(models)
    generator = torch.Generator().manual_seed(3)
    inputs = {
        "hidden_states": torch.randn(1, 12, 16, generator=generator),
        "encoder_hidden_states": torch.randn(1, 5, 32, generator=generator),
        "pooled_projections": torch.randn(1, 64, generator=generator),
        "timestep": torch.tensor([0.7]),
        "guidance": torch.tensor([3.5]),
        "img_ids": torch.rand(12, 3, generator=generator),
        "txt_ids": torch.zeros(5, 3),
    }
    with torch.inference_mode():
        torch.testing.assert_close(models.transformer(**inputs).sample, plain(**inputs).sample, rtol=1e-5, atol=1e-5)


def test_linear_layers_stay_float8_and_norms_are_widened(tmp_path: Path) -> None:
    file = open_flux(tiny.write_single_file(tmp_path))
    model = load_transformer(file.transformer, CPU, torch.bfloat16)
    linear = {name for name, module in model.named_modules() if isinstance(module, StoredLinear)}
    for name, parameter in model.named_parameters():
        inside = name.rpartition(".")[0] in linear
        assert parameter.dtype == (tiny.FP8 if inside else torch.bfloat16), name
        assert not parameter.requires_grad
    assert not any(isinstance(module, torch.nn.Linear) for module in model.modules())
    with torch.inference_mode():
        result = model(
            hidden_states=torch.randn(1, 4, 16, dtype=torch.bfloat16),
            encoder_hidden_states=torch.randn(1, 3, 32, dtype=torch.bfloat16),
            pooled_projections=torch.randn(1, 64, dtype=torch.bfloat16),
            timestep=torch.tensor([0.5], dtype=torch.bfloat16),
            guidance=torch.tensor([3.5]),
            img_ids=torch.zeros(4, 3, dtype=torch.bfloat16),
            txt_ids=torch.zeros(3, 3, dtype=torch.bfloat16),
        ).sample
    assert result.dtype == torch.bfloat16
    assert result.isfinite().all()


def test_file_with_the_transformer_alone(tmp_path: Path) -> None:
    whole = open_flux(tiny.write_single_file(tmp_path / "a"))
    alone = open_flux(tiny.write_transformer_file(tmp_path / "b"))
    one, other = (load_transformer(file.transformer, CPU, torch.float32) for file in (whole, alone))
    for name, value in one.state_dict().items():
        assert torch.equal(value.float(), other.state_dict()[name].float()), name
    with pytest.raises(ModelKeysWrong, match="transformer alone"):
        alone.part("t5")


def test_schnell_has_no_guidance(tmp_path: Path) -> None:
    file = open_flux(tiny.write_single_file(tmp_path, guidance=False))
    assert not load_transformer(file.transformer, CPU, torch.float32).config["guidance_embeds"]


def _broken(tmp_path: Path, change: str) -> EntryFiles:
    files = tiny.write_single_file(tmp_path)
    path = files.path(tiny.SINGLE_FILE)
    tensors = load_file(path)
    key = "model.diffusion_model.double_blocks.1.img_attn.qkv.weight"
    if change == "missing":
        del tensors[key]
    elif change == "surplus":
        tensors["model.diffusion_model.extra.weight"] = torch.zeros(2)
    elif change == "misshapen":
        tensors[key] = tensors[key][:-1].contiguous()
    elif change == "stranger":
        tensors["upscaler.weight"] = torch.zeros(2)
    elif change == "no vae":
        tensors = {name: value for name, value in tensors.items() if not name.startswith("vae.")}
    save_file(tensors, path)
    return files


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("missing", "transformer_blocks.1.attn.to_q.weight"),
        ("surplus", "1 surplus \\(extra.weight\\)"),
        ("misshapen", "transformer_blocks.1.attn.to_k.weight|transformer_blocks.1.attn.to_q.weight"),
        ("stranger", "upscaler.weight"),
        ("no vae", "nothing under vae"),
    ],
)
def test_wrong_keys_are_named(tmp_path: Path, change: str, named: str) -> None:
    with pytest.raises(ModelKeysWrong, match=named):
        load_transformer(open_flux(_broken(tmp_path, change)).transformer, CPU, torch.float32)


def test_something_else_is_not_a_transformer(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "m.safetensors")
    with pytest.raises(ModelKeysWrong, match="not a FLUX transformer"):
        load_transformer(open_tensors(tmp_path / "m.safetensors"), CPU, torch.float32)
    with pytest.raises(ModelFileMissing):
        open_flux(EntryFiles("flux_dev_fp8", {}))


def test_t5_is_tied_float8_and_widens_its_last_product(tmp_path: Path) -> None:
    models = load_all(tmp_path)
    t5 = models.prompts.t5
    assert t5.shared is t5.encoder.embed_tokens
    assert t5.shared.weight.dtype == tiny.FP8
    numbers = torch.tensor([[5, 9, 2, 1, 0, 0]])
    with torch.inference_mode():
        expected = plain_t5(models)(numbers).last_hidden_state
        torch.testing.assert_close(t5(numbers).last_hidden_state, expected, rtol=1e-5, atol=1e-5)
        file = open_flux(EntryFiles("flux", {tiny.SINGLE_FILE: tmp_path / "flux" / tiny.SINGLE_FILE}))
        half = load_t5(file.part("t5"), CPU, torch.bfloat16)
        dense = half.encoder.block[0].layer[1].DenseReluDense
        assert dense.wo.weight.dtype == tiny.FP8
        assert dense(torch.randn(1, 2, 32, dtype=torch.bfloat16)).dtype == torch.float32
        got = half(numbers).last_hidden_state
    assert got.dtype == torch.bfloat16
    torch.testing.assert_close(got.float(), expected, rtol=0.05, atol=0.05)


def test_clip_is_widened_from_float16(tmp_path: Path) -> None:
    file = open_flux(tiny.write_single_file(tmp_path))
    clip = load_clip(file.part("clip"), CPU, torch.bfloat16)
    assert {parameter.dtype for parameter in clip.parameters()} == {torch.bfloat16}
    assert (clip.config.num_hidden_layers, clip.config.num_attention_heads) == (2, 1)


def test_autoencoder_has_every_tensor_and_keeps_float32(tmp_path: Path) -> None:
    model = load_autoencoder(open_flux(tiny.write_single_file(tmp_path)).part("vae"), CPU)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    picture = torch.randint(0, 256, (16, 32, 3), dtype=torch.uint8).numpy()
    latents = encode_picture(model, picture, torch.zeros(1, 4, 8, 16))
    assert latents.shape == (1, 4, 8, 16)
    assert decode_latents(model, latents).shape == picture.shape


def test_full_size_autoencoder_key_set_maps_without_rest() -> None:
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

    from kiss3d_backend.networks.flux.autoencoder import diffusers_name

    with torch.device("meta"):
        model = AutoencoderKL(
            block_out_channels=FULL.levels,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=16,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
    wanted = {name: torch.Size(value.shape).numel() for name, value in model.state_dict().items()}
    found = {diffusers_name(name, 4): torch.Size(shape).numel() for name, shape in tiny.vae_shapes(FULL).items()}
    assert found == wanted
    assert len(found) == 244


@pytest.mark.parametrize("load", [load_transformer, load_clip, load_t5, load_autoencoder])
def test_half_precision_on_the_cpu_is_refused(tmp_path: Path, load: object) -> None:
    file = open_flux(tiny.write_single_file(tmp_path))
    with pytest.raises(ParamsInvalid, match="half precision"):
        load(file.transformer, CPU, torch.float16)  # type: ignore[operator]


def test_loading_asks_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something asked for the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    load_all(tmp_path)


def test_loaded_weights_are_the_mapped_file(tmp_path: Path) -> None:
    """A file of 77 MB adds a few MB of memory of its own; the rest are pages of the file."""
    size = tiny.Size(width=768, head=128, double=2, single=4)
    files = tiny.write_transformer_file(tmp_path, size)
    (path,) = files.paths.values()
    load_transformer(open_flux(tiny.write_transformer_file(tmp_path / "small")).transformer, CPU, torch.bfloat16)
    process = psutil.Process()
    before = _anonymous(process)
    model = load_transformer(open_flux(files).transformer, CPU, torch.bfloat16)
    grown = _anonymous(process) - before
    assert model.transformer_blocks[0].attn.to_q.weight.dtype == tiny.FP8
    assert path.stat().st_size > 60_000_000
    assert grown < 0.2 * path.stat().st_size


def _anonymous(process: psutil.Process) -> int:
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        pytest.skip("this system does not tell anonymous memory apart")
    (line,) = [line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("RssAnon")]
    return 1024 * int(line.split()[1])
