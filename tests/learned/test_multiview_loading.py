"""From files to the parts of Zero123++."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from tests.fakes.tiny.zero123 import PUBLISHED_UNET, entry_files, flexgen_state_dict, write_flexgen, write_zero123plus

from kiss3d_backend.models.catalogue_reader import shipped_catalogue
from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.convert.published import KINDS
from kiss3d_backend.networks.zero123.configuration import arguments_of
from kiss3d_backend.networks.zero123.loader import load_autoencoder, load_conditioner, load_unet
from kiss3d_backend.networks.zero123.tokenizer import read_tokenizer
from kiss3d_protocol.errors import ModelFileCorrupt, ModelFileMissing, ModelKeysWrong, ParamsInvalid

CPU = torch.device("cpu")
LOADERS: dict[str, Callable[[EntryFiles, EntryFiles, torch.dtype], Any]] = {
    "unet": lambda repository, unet, dtype: load_unet(repository, unet, CPU, dtype),
    "autoencoder": lambda repository, unet, dtype: load_autoencoder(repository, CPU, dtype),
    "conditioner": lambda repository, unet, dtype: load_conditioner(repository, CPU, dtype),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> EntryFiles:
    return write_zero123plus(tmp_path_factory.mktemp("zero123plus"), picture_side=64, levels=4)


@pytest.fixture(scope="module")
def flexgen(tmp_path_factory: pytest.TempPathFactory) -> EntryFiles:
    return write_flexgen(tmp_path_factory.mktemp("flexgen"))


def test_full_size_unet_has_the_published_tensors() -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(**arguments_of(UNet2DConditionModel, PUBLISHED_UNET))
    made = {name: tuple(tensor.shape) for name, tensor in unet.state_dict().items()}
    published = KINDS["multiview_unet"].shapes()
    assert made == published
    assert len(made) == 686
    assert sum(tensor.numel() for tensor in unet.parameters()) == 865_910_724


def test_tiny_unet_has_the_names_of_the_published_one() -> None:
    assert flexgen_state_dict().keys() == KINDS["multiview_unet"].shapes().keys()


@pytest.mark.parametrize("part", LOADERS)
def test_loads_without_asking_anybody(
    part: str, repository: EntryFiles, flexgen: EntryFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("asked the network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert LOADERS[part](repository, flexgen, torch.float32) is not None


def test_unet_weights_are_kiss3dgens(repository: EntryFiles, flexgen: EntryFiles) -> None:
    """The repository's own are different ones, and may be missing."""
    own = "unet/diffusion_pytorch_model.safetensors"
    assert not torch.equal(load_file(repository.path(own))["conv_in.weight"], flexgen_state_dict()["conv_in.weight"])
    without = EntryFiles(repository.entry, {file: path for file, path in repository.paths.items() if file != own})
    loaded = load_unet(without, flexgen, CPU, torch.float32)._unet.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in flexgen_state_dict().items())


def test_names_of_older_libraries_are_understood(tmp_path: Path, repository: EntryFiles) -> None:
    older = write_zero123plus(tmp_path / "older", picture_side=64, levels=4, older=True)
    assert load_file(older.path("vae/diffusion_pytorch_model.safetensors")).keys() != (
        load_file(repository.path("vae/diffusion_pytorch_model.safetensors")).keys()
    )
    for load in (load_autoencoder, load_conditioner):
        new, old = load(repository, CPU, torch.float32), load(older, CPU, torch.float32)
        for attribute, module in vars(new).items():
            if isinstance(module, torch.nn.Module):
                other = getattr(old, attribute).state_dict()
                assert all(torch.equal(other[name], tensor) for name, tensor in module.state_dict().items())


@pytest.mark.parametrize("part", LOADERS)
def test_the_files_of_the_catalogue_are_enough(part: str, repository: EntryFiles, flexgen: EntryFiles) -> None:
    catalogue = shipped_catalogue()

    def catalogued(files: EntryFiles) -> EntryFiles:
        names = [file.loaded_name for file in catalogue.entry(files.entry).files]
        return EntryFiles(files.entry, {name: files.path(name) for name in names})

    assert LOADERS[part](catalogued(repository), catalogued(flexgen), torch.float32) is not None


@pytest.mark.parametrize("part", LOADERS)
def test_half_precision_on_the_processor_is_refused(part: str, repository: EntryFiles, flexgen: EntryFiles) -> None:
    with pytest.raises(ParamsInvalid, match="float16") as caught:
        LOADERS[part](repository, flexgen, torch.float16)
    assert "bfloat16" in caught.value.remedy


def test_dtype_is_the_one_asked_for(repository: EntryFiles, flexgen: EntryFiles) -> None:
    unet = load_unet(repository, flexgen, CPU, torch.bfloat16)
    assert {parameter.dtype for parameter in unet._unet.parameters()} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in unet._unet.parameters())
    assert not unet._unet.training


@pytest.mark.parametrize(
    ("part", "file"),
    [
        ("unet", "unet/config.json"),
        ("autoencoder", "vae/diffusion_pytorch_model.safetensors"),
        ("autoencoder", "feature_extractor_vae/preprocessor_config.json"),
        ("conditioner", "model_index.json"),
        ("conditioner", "tokenizer/merges.txt"),
        ("conditioner", "vision_encoder/model.safetensors"),
    ],
)
def test_a_missing_file_is_named(part: str, file: str, repository: EntryFiles, flexgen: EntryFiles) -> None:
    without = EntryFiles(repository.entry, {name: path for name, path in repository.paths.items() if name != file})
    with pytest.raises(ModelFileMissing, match=file):
        LOADERS[part](without, flexgen, torch.float32)


@pytest.mark.parametrize(
    ("part", "file", "text"),
    [
        ("unet", "unet/config.json", "{"),
        ("autoencoder", "vae/config.json", "[]"),
        ("conditioner", "model_index.json", "{}"),
        ("conditioner", "tokenizer/merges.txt", "#version: 0.2\na b c\n"),
        ("conditioner", "text_encoder/model.safetensors", "version https://git-lfs.github.com/spec/v1"),
    ],
)
def test_a_damaged_file_is_an_error(
    part: str, file: str, text: str, repository: EntryFiles, flexgen: EntryFiles, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_text(text, encoding="utf-8")
    with pytest.raises(ModelFileCorrupt):
        LOADERS[part](EntryFiles(repository.entry, {**repository.paths, file: damaged}), flexgen, torch.float32)


def test_other_tensors_are_refused(tmp_path: Path, repository: EntryFiles) -> None:
    weights = flexgen_state_dict()
    weights["conv_in.surplus"] = weights.pop("conv_in.bias")
    (tmp_path / "wrong").mkdir()
    save_file(weights, tmp_path / "wrong" / "flexgen.safetensors")
    with pytest.raises(ModelKeysWrong, match=r"conv_in\.bias.*conv_in\.surplus"):
        load_unet(repository, entry_files("multiview_unet", tmp_path / "wrong"), CPU, torch.float32)


def test_an_entry_without_converted_weights_is_refused(repository: EntryFiles, tmp_path: Path) -> None:
    with pytest.raises(ModelFileMissing, match="multiview_unet"):
        load_unet(repository, EntryFiles("multiview_unet", {"flexgen.ckpt": tmp_path}), CPU, torch.float32)


def test_tokenizer_pads_with_the_token_of_the_repository(repository: EntryFiles) -> None:
    tokenizer = read_tokenizer(repository)
    vocabulary = json.loads(repository.path("tokenizer/vocab.json").read_text(encoding="utf-8"))
    start, end = vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]
    assert tokenizer("", padding="max_length", max_length=4).input_ids == [start, end, 0, 0]
    assert tokenizer("ab a").input_ids == [start, vocabulary["ab</w>"], vocabulary["a</w>"], end]
