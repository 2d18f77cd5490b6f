"""Every entry of the catalogue: from a hub through an empty home and the converter to its loader, without a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import attrs
import numpy as np
import pytest
import torch
from tests.fakes.hub import Hub
from tests.fakes.no_network import no_network
from tests.fakes.tiny.flux import transformer_shapes
from tests.fakes.tiny.models import CHAT, write_all
from tests.fakes.tiny.zero123 import flexgen_state_dict

from kiss3d_backend.models.catalogue_reader import shipped_catalogue
from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.models.hub_cache import HubCache
from kiss3d_backend.models.store import ModelStore
from kiss3d_backend.networks.birefnet import load_birefnet
from kiss3d_backend.networks.chat.load import load_writer
from kiss3d_backend.networks.checkpoint import open_entry
from kiss3d_backend.networks.florence.load import load_captioner
from kiss3d_backend.networks.flux.autoencoder import load_autoencoder as load_flux_autoencoder
from kiss3d_backend.networks.flux.controlnet import FILE, load_controlnet
from kiss3d_backend.networks.flux.lora import read_lora, set_lora
from kiss3d_backend.networks.flux.prompt import read_clip_tokenizer, read_t5_tokenizer
from kiss3d_backend.networks.flux.redux import load_redux
from kiss3d_backend.networks.flux.single_file import open_flux
from kiss3d_backend.networks.flux.text_encoders import load_clip, load_t5
from kiss3d_backend.networks.flux.transformer import load_transformer
from kiss3d_backend.networks.lrm.load import load_lrm
from kiss3d_backend.networks.zero123.loader import load_autoencoder, load_conditioner, load_unet

CPU = torch.device("cpu")
EVERYTHING = [*shipped_catalogue().entries, CHAT]

Files = Callable[[str], EntryFiles]


@attrs.frozen
class Pulled:
    """A machine after its pull; the hub is gone. ``requests``: how often the body of a file was asked for."""

    store: ModelStore
    output: str
    requests: int


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulled]:
    """Nothing but a ``models.toml``; then one pull of everything by the command, warnings being errors in it."""
    folder = tmp_path_factory.mktemp("machine")
    home, data = folder / "home", folder / "home" / "data"
    data.mkdir(parents=True)
    (data / "models.toml").write_text(write_all(folder / "hub"), encoding="utf-8")
    with Hub(folder / "hub") as hub:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "KISS3D_", "XDG_"))}
        environment = kept | {
            "HOME": str(home),
            "HF_HOME": str(home / "hf"),
            "HF_ENDPOINT": hub.address,
            "PYTHONWARNINGS": "error",
        }
        command = [sys.executable, "-m", "kiss3d_backend", "models", "pull", "--json", "--data-dir", data, *EVERYTHING]
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=200, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        requests = len(hub.gets())
    yield Pulled(ModelStore(data, cache=HubCache(home / "hf" / "hub")), done.stdout, requests)


def test_everything_is_here_and_each_file_came_once(pulled: Pulled) -> None:
    states = [state for entry in pulled.store.entries() for state in entry.files]
    assert {state.status for state in states} <= {"verified", "converted", "absent"}
    assert {state.file.name for state in states if state.status == "converted"} == {"flexgen.ckpt", "final_ckpt.ckpt"}
    assert {state.file.name for state in states if state.status == "absent"} <= {
        "generation_config.json",
        "special_tokens_map.json",
        "processor_config.json",
    }
    assert pulled.requests == sum(state.status != "absent" for state in states)
    report = json.loads(pulled.output.splitlines()[-1])
    assert report["event"] == "finished" and sorted(report["entries"]) == sorted(EVERYTHING)


def test_no_loader_gets_a_pickle(pulled: Pulled) -> None:
    names = [name for entry in EVERYTHING for name in pulled.store.files(entry).paths]
    assert "flexgen.safetensors" in names and "final_ckpt.safetensors" in names
    assert [name for name in names if name.endswith((".ckpt", ".bin", ".pt", ".pth", ".pkl"))] == []


def _flux(files: EntryFiles, guidance: bool) -> None:
    file = open_flux(files)
    transformer = load_transformer(file.transformer, CPU, torch.bfloat16)
    assert transformer.config.guidance_embeds == guidance
    stored = {value.dtype for value in transformer.state_dict().values()}
    assert torch.float8_e4m3fn in stored, "it stays in eight bits"
    load_clip(file.part("clip"), CPU, torch.float32)
    t5 = load_t5(file.part("t5"), CPU, torch.float32)
    assert t5.encoder.embed_tokens.weight is t5.shared.weight
    load_flux_autoencoder(file.part("vae"), CPU)


def _lora(entry: str, files: Files) -> None:
    transformer = load_transformer(open_flux(files("flux_dev_fp8")).transformer, CPU, torch.float32)
    (path,) = files(entry).paths.values()
    set_lora(transformer, entry, read_lora(path, transformer))


def _birefnet(files: EntryFiles) -> None:
    picture = np.full((64, 64, 3), 200, dtype=np.uint8)
    picture[20:40, 20:40] = (200, 30, 30)
    matte = load_birefnet(files).matte(picture, lambda: None)
    assert matte[30, 30] > 250 and matte[5, 5] < 5


LOADS: dict[str, Callable[[Files], object]] = {
    "flux_schnell_fp8": lambda files: _flux(files("flux_schnell_fp8"), guidance=False),
    "flux_dev_fp8": lambda files: _flux(files("flux_dev_fp8"), guidance=True),
    "clip_tokenizer": lambda files: read_clip_tokenizer(files("clip_tokenizer"))("a view").input_ids,
    "t5_tokenizer": lambda files: read_t5_tokenizer(files("t5_tokenizer"))("a view").input_ids,
    "kiss3dgen_lora": lambda files: _lora("kiss3dgen_lora", files),
    "kiss3dgen_lora_redux": lambda files: _lora("kiss3dgen_lora_redux", files),
    "flux_turbo_lora": lambda files: _lora("flux_turbo_lora", files),
    "controlnet_union": lambda files: load_controlnet(open_entry(files("controlnet_union"), FILE), CPU, torch.bfloat16),
    "redux": lambda files: load_redux(files("redux"), CPU, torch.bfloat16),
    "zero123plus": lambda files: (
        load_autoencoder(files("zero123plus"), CPU, torch.float32),
        load_conditioner(files("zero123plus"), CPU, torch.float32),
    ),
    "multiview_unet": lambda files: load_unet(files("zero123plus"), files("multiview_unet"), CPU, torch.float32),
    "lrm": lambda files: load_lrm(files("lrm"), CPU, torch.float32),
    "florence2": lambda files: load_captioner(files("florence2"), CPU, torch.float32),
    "birefnet": lambda files: _birefnet(files("birefnet")),
    "prompt_writer": lambda files: load_writer(files("prompt_writer"), CPU, torch.float32),
    CHAT: lambda files: load_writer(files(CHAT), CPU, torch.float32),
}


def test_no_entry_is_left_out() -> None:
    assert sorted(LOADS) == sorted(EVERYTHING)


@pytest.mark.parametrize("entry", LOADS)
def test_it_loads_without_a_network(pulled: Pulled, entry: str) -> None:
    """Warnings are errors here as everywhere in the tests."""
    with no_network():
        LOADS[entry](pulled.store.files)


def test_what_was_converted_is_what_was_published(pulled: Pulled) -> None:
    converted = open_entry(pulled.store.files("multiview_unet"), "flexgen.safetensors")
    published = flexgen_state_dict()
    assert converted.keys() == published.keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in published.items())


def test_a_preset_loads_after_its_pickles_are_deleted(pulled: Pulled) -> None:
    for entry, file in (("multiview_unet", "flexgen.ckpt"), ("lrm", "final_ckpt.ckpt")):
        repository = shipped_catalogue().entry(entry).repository.replace("/", "--")
        found = list((pulled.store.cache.root / f"models--{repository}").rglob(file))
        assert found, "the pickle is in the cache until now"
        for link in found:
            link.resolve().unlink()
            link.unlink(missing_ok=True)
    assert open_entry(pulled.store.files("lrm"), "final_ckpt.safetensors").keys()
    assert open_entry(pulled.store.files("multiview_unet"), "flexgen.safetensors").keys()


def test_the_fp8_files_differ_in_guidance_alone(pulled: Pulled) -> None:
    from tests.fakes.tiny.flux import Size

    dev = open_flux(pulled.store.files("flux_dev_fp8")).transformer.shapes
    schnell = open_flux(pulled.store.files("flux_schnell_fp8")).transformer.shapes
    assert {name for name in dev if name not in schnell} == {
        name for name in transformer_shapes(Size()) if name.startswith("guidance_in.")
    }
