"""FLUX's networks from catalogue entries on a shelf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.fakes.tiny import flux as tiny
from tests.learned.flux_models import CPU, SIZE

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.flux.execution import FluxExecution, FluxPlacement
from kiss3d_backend.networks.flux.files import FluxFiles
from kiss3d_backend.networks.flux.parts import FluxNetworks, device_bytes, stored_bytes
from kiss3d_backend.networks.flux.residency import StreamedBlocks
from kiss3d_backend.networks.flux.settings import ControlSettings, FluxSettings
from kiss3d_backend.networks.flux.single_file import open_flux
from kiss3d_backend.networks.flux.stored_layers import LowRank, StoredLinear
from kiss3d_backend.networks.shelf import Shelf
from kiss3d_protocol.errors import ModelFileMissing, ParamsInvalid

RICH = FluxSettings(steps=1, turbo=0.5, redux=0.5, control=ControlSettings())


@pytest.fixture
def files(tmp_path: Path) -> FluxFiles:
    return FluxFiles(
        tiny.write_single_file(tmp_path / "flux"),
        tiny.write_clip_tokenizer(tmp_path / "clip"),
        tiny.write_t5_tokenizer(tmp_path / "t5"),
        tiny.write_kohya_lora(tmp_path / "lora"),
        tiny.write_peft_lora(tmp_path / "turbo"),
        tiny.write_controlnet(tmp_path / "controlnet"),
        tiny.write_redux(tmp_path / "redux"),
    )


def _loras(model: torch.nn.Module) -> dict[str, set[float]]:
    found: dict[str, set[float]] = {}
    for layer in model.modules():
        if isinstance(layer, StoredLinear):
            for name, adapter in layer.adapters.items():
                found.setdefault(name, set()).add(adapter.scale)  # type: ignore[arg-type]
    return found


def test_every_part_comes_from_its_files(files: FluxFiles) -> None:
    shelf = Shelf(10**12)
    parts = FluxNetworks(shelf, files, CPU, torch.float32).parts(RICH)
    assert parts.prompts().encode("a view", "the view", torch.float32, 8).tokens.shape == (1, 8, 32)
    assert parts.controlnet is not None
    assert parts.redux is not None
    assert parts.controlnet().config["num_mode"] == 10
    assert parts.redux().side == 28
    assert parts.autoencoder().config["latent_channels"] == 4
    assert _loras(parts.transformer().model) == {"kiss3dgen": {0.5}, "turbo": {0.5}}
    assert not parts.notes


def test_two_presets_share_a_transformer_and_each_gets_its_own_loras(files: FluxFiles) -> None:
    networks = FluxNetworks(Shelf(10**12), files, CPU, torch.float32)
    models: list[Any] = []
    for settings, expected in (
        (RICH, {"kiss3dgen": {0.5}, "turbo": {0.5}}),
        (FluxSettings(steps=1, lora=0.5), {"kiss3dgen": {0.25}}),
        (FluxSettings(steps=1, lora=0.0), {}),
    ):
        models.append(networks.parts(settings).transformer().model)
        assert _loras(models[-1]) == expected
        there = _adapters(models[-1])
        again = _adapters(networks.parts(settings).transformer().model)
        assert all(one is other for one, other in zip(there, again, strict=True))
    assert models[0] is models[1] is models[2]


def _adapters(model: torch.nn.Module) -> list[LowRank]:
    """That are set, which a job like the one before leaves alone."""
    layers = [layer for layer in model.modules() if isinstance(layer, StoredLinear)]
    return [adapter for layer in layers for adapter in layer.adapters.values()]


def test_models_with_the_same_encoders_and_autoencoder_share_them(files: FluxFiles, tmp_path: Path) -> None:
    ours = load_file(files.model.path(tiny.SINGLE_FILE))
    theirs = {name: value for name, value in ours.items() if "guidance_in" not in name}
    theirs["model.diffusion_model.img_in.weight"] = theirs["model.diffusion_model.img_in.weight"].flip(0).contiguous()
    for changed in ("", "vae.decoder.conv_in.weight", "text_encoders.t5xxl.transformer.shared.weight"):
        path = tmp_path / f"other{len(changed)}.safetensors"
        save_file(theirs | ({changed: theirs[changed].flip(0).contiguous()} if changed else {}), path)
        shelf = Shelf(10**12)
        first = FluxNetworks(shelf, files, CPU, torch.float32)
        model = EntryFiles("flux_schnell_fp8", {path.name: path})
        second = FluxNetworks(shelf, attrs.evolve(files, model=model), CPU, torch.float32, like=first)
        one, other = (networks.parts(FluxSettings(steps=1)) for networks in (first, second))
        assert (other.prompts() is one.prompts()) == (not changed.startswith("text"))
        assert (other.autoencoder() is one.autoencoder()) == (not changed.startswith("vae"))
        assert other.transformer() is not one.transformer() and not other.transformer().guided


def test_transformer_of_a_file_of_its_own_takes_the_others_place(files: FluxFiles, tmp_path: Path) -> None:
    own = attrs.evolve(files, transformer=tiny.write_transformer_file(tmp_path / "own", guidance=False))
    parts = FluxNetworks(Shelf(10**12), own, CPU, torch.float32).parts(FluxSettings(steps=1))
    assert not parts.transformer().guided, "the single file's has it"
    assert parts.autoencoder().config["latent_channels"] == 4


def test_text_encoder_tensors_of_a_lora_become_a_note(files: FluxFiles, tmp_path: Path) -> None:
    tensors = tiny.kohya_lora(SIZE)
    tensors["lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_down.weight"] = torch.zeros(2, 64)
    assert files.lora is not None
    save_file(tensors, files.lora.path("rgb_normal.safetensors"))
    parts = FluxNetworks(Shelf(10**12), files, CPU, torch.float32).parts(FluxSettings(steps=1))
    parts.transformer()
    parts.transformer()
    (note,) = parts.notes
    assert "lora_te1_text_model" in note


@pytest.mark.parametrize("lacking", ["lora", "turbo", "controlnet", "redux"])
def test_files_that_a_preset_lacks_are_named(files: FluxFiles, lacking: str) -> None:
    with pytest.raises(ModelFileMissing, match=lacking if lacking == "turbo" else "The preset needs"):
        FluxNetworks(Shelf(1), attrs.evolve(files, **{lacking: None}), CPU, torch.float32).parts(RICH)


def test_half_precision_on_the_cpu_is_refused_before_anything_is_read(files: FluxFiles) -> None:
    with pytest.raises(ParamsInvalid, match="half precision"):
        FluxNetworks(Shelf(1), files, CPU, torch.float16).parts(RICH)


def test_bytes_are_those_of_the_tensors(files: FluxFiles) -> None:
    file = open_flux(files.model)
    for part in (file.transformer, file.part("clip"), file.part("t5"), file.part("vae")):
        assert stored_bytes(part) == sum(tensor.nbytes for tensor in part.values())


def test_the_transformers_place_has_room_for_its_loras_and_streamed_blocks_take_none(files: FluxFiles) -> None:
    def room(files: FluxFiles, **execution: Any) -> int:
        parts = FluxNetworks(Shelf(1), files, CPU, torch.float32, FluxPlacement(FluxExecution(**execution))).parts(RICH)
        return parts.transformer._transformer.nbytes()  # type: ignore[attr-defined]

    tensors = open_flux(files.model).transformer
    assert files.lora is not None
    assert files.turbo is not None
    loras = sum(
        tensor.nbytes
        for entry in (files.lora, files.turbo)
        for path in entry.paths.values()
        for tensor in load_file(path).values()
    )
    assert room(files) == stored_bytes(tensors) + loras
    assert room(files, streamed=True) == device_bytes(tensors, FluxExecution(streamed=True)) + loras < room(files)


def test_a_streamed_transformer_draws_from_the_shelf(files: FluxFiles) -> None:
    streamed = FluxPlacement(FluxExecution(streamed=True, tiled_decode=True))
    networks = FluxNetworks(Shelf(10**12), files, CPU, torch.float32, streamed)
    parts = networks.parts(RICH)
    assert parts.execution.tiled_decode
    denoiser = parts.transformer()
    assert isinstance(denoiser._blocks, StreamedBlocks)
    assert _loras(denoiser.model) == {"kiss3dgen": {0.5}, "turbo": {0.5}}
