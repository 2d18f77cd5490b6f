"""Every model of a preset with random weights, in the published layout, as the store finds a user's own files.

The weights are made on the GPU tensor by tensor and written at once; names, shapes and dtypes are the published ones.
Three things are not random, so that a job goes the way that a real one goes: the LRM's learned tokens say "ball", the
captioner's end becomes likely after a hundred tokens, and a network of a few operations stands for BiRefNet.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from tests.fakes.tiny import florence, flux, lrm, zero123
from tests.fakes.tiny.models import SIZE as TINY_FLUX

from kiss3d_backend.models.pins import Pin, pin_key
from kiss3d_backend.models.store import ABSENT, ModelStore
from kiss3d_backend.networks.flux.transformer import TransformerShape
from kiss3d_backend.networks.lrm.shape import LrmShape

Layout = Mapping[str, tuple[tuple[int, ...], torch.dtype]]
Fill = Callable[[str, tuple[int, ...]], torch.Tensor]

LORA_RANK = 64
MADE = "made.json"
_NAMES = {
    torch.float8_e4m3fn: "F8_E4M3",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.float32: "F32",
}


def make_models(folder: Path, preset: str, device: torch.device, *, tiny: bool) -> dict[str, float]:
    """Writes what ``preset`` needs below ``folder`` unless it is there, with ``models.toml`` and pins in its ``data``.

    Returns seconds by entry, hashing included; nothing for what was there.
    """
    notes = folder / MADE
    made: dict[str, bool] = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else {}
    if any(was_tiny != tiny for was_tiny in made.values()):
        raise SystemExit(f"{folder} has models of another size. Choose another --data.")
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    writers = _writers(device, tiny)
    seconds: dict[str, float] = {}
    for entry in ModelStore(data).catalogue.of_preset(preset):
        if entry.name in made:
            continue
        began = time.monotonic()
        place = folder / "models" / entry.name
        place.mkdir(parents=True, exist_ok=True)
        writers[entry.name](place)
        made[entry.name] = tiny
        _tell_store(folder, data, made)
        # Hashed once, as a download is: a job then takes the files as they are.
        ModelStore(data).files(entry.name)
        notes.write_text(json.dumps(made), encoding="utf-8")
        seconds[entry.name] = round(time.monotonic() - began, 2)
    return seconds


def _tell_store(folder: Path, data: Path, made: Mapping[str, bool]) -> None:
    """``models.toml`` with every file as a user's own; optional ones that were not written are absent."""
    (data / "models.toml").write_text("", encoding="utf-8")
    lines: list[str] = []
    absent = []
    for name in made:
        for file in ModelStore(data).catalogue.entry(name).files:
            path = folder / "models" / name / file.loaded_name
            if path.is_file():
                lines.append(f'[{name}.files."{file.name}"]\nlocal = {json.dumps(str(path.absolute()))}\n')
            else:
                absent.append((name, file.name))
    (data / "models.toml").write_text("\n".join(lines), encoding="utf-8")
    store = ModelStore(data)
    for name, missing in absent:
        entry = store.catalogue.entry(name)
        (file,) = [file for file in entry.files if file.name == missing]
        assert file.optional, f"{name} was made without its {missing}"
        store.pins.put(pin_key(entry, file), Pin("", 0, etag=ABSENT))


def _writers(device: torch.device, tiny: bool) -> dict[str, Callable[[Path], object]]:
    random = RandomValues(device)
    if tiny:
        whole: Callable[[Path, bool], object] = lambda at, dev: flux.write_single_file(at, TINY_FLUX, guidance=dev)  # noqa: E731
        return {
            "flux_schnell_fp8": lambda at: whole(at, False),
            "flux_dev_fp8": lambda at: whole(at, True),
            "kiss3dgen_lora": lambda at: flux.write_kohya_lora(at, TINY_FLUX),
            "flux_turbo_lora": lambda at: flux.write_peft_lora(at, TINY_FLUX),
            "zero123plus": zero123.write_zero123plus,
            "multiview_unet": zero123.write_flexgen,
            "lrm": lambda at: save_file(lrm.tiny_lrm(), at / "final_ckpt.safetensors"),
            "florence2": florence.write_florence,
            **_small_ones(),
        }
    size, sizes = flux.Size.published(), zero123.Sizes.published()

    def on_device(write: Callable[[Path], object]) -> Callable[[Path], object]:
        def written(place: Path) -> object:
            with torch.device(device):
                return write(place)

        return written

    return {
        "flux_schnell_fp8": lambda at: write_tensors(
            at / "flux1-schnell-fp8.safetensors", flux.file_layout(size, guidance=False), random
        ),
        "flux_dev_fp8": lambda at: write_tensors(at / flux.SINGLE_FILE, flux.file_layout(size), random),
        "kiss3dgen_lora": lambda at: write_tensors(at / "rgb_normal.safetensors", lora_layout(size), random),
        "flux_turbo_lora": lambda at: write_tensors(
            at / "diffusion_pytorch_model.safetensors", lora_layout(size), random
        ),
        "zero123plus": on_device(lambda at: zero123.write_zero123plus(at, sizes)),
        "multiview_unet": on_device(lambda at: zero123.write_flexgen(at, sizes)),
        "lrm": lambda at: save_file(lrm.tiny_lrm(shape=LrmShape()), at / "final_ckpt.safetensors"),
        "florence2": on_device(lambda at: florence.write_florence(at, florence.Size.published())),
        **_small_ones(),
    }


def _small_ones() -> dict[str, Callable[[Path], object]]:
    def birefnet(place: Path) -> object:
        # Not needed where the picture has been cut out: see job.picture().
        try:
            from tests.fakes.tiny.birefnet import write_birefnet
        except ImportError:
            (place / "onnx").mkdir()
            return (place / "onnx" / "model_fp16.onnx").write_bytes(b"no onnx here")
        return write_birefnet(place)

    return {
        "clip_tokenizer": flux.write_clip_tokenizer,
        "t5_tokenizer": flux.write_t5_tokenizer,
        "birefnet": birefnet,
    }


class RandomValues:
    """Norms near 1, small biases, matrices that keep the size of what goes through them; float32 on ``device``."""

    def __init__(self, device: torch.device, seed: int = 0) -> None:
        self._device = device
        self._generator = torch.Generator(device).manual_seed(seed)

    def __call__(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        values = torch.randn(shape, generator=self._generator, device=self._device)
        if len(shape) < 2:
            near_one = "norm" in name and name.endswith(("weight", "scale"))
            return 0.1 * values + near_one
        if name.endswith("lora_B.weight"):
            # The sum of what LoRAs add stays small beside the layer's own.
            return 0.1 * values / shape[1] ** 0.5
        return values if name.endswith(("embedding.weight", "shared.weight")) else values / values[0].numel() ** 0.5


def lora_layout(size: flux.Size, rank: int = LORA_RANK) -> Layout:
    """A LoRA beside every layer of the transformer's blocks, bfloat16, in diffusers' names."""
    model = TransformerShape.of(flux.transformer_shapes(size), "random").build()
    layout: dict[str, tuple[tuple[int, ...], torch.dtype]] = {}
    for name, layer in model.named_modules():
        if "transformer_blocks." in name and isinstance(layer, torch.nn.Linear):
            layout[f"transformer.{name}.lora_A.weight"] = ((rank, layer.in_features), torch.bfloat16)
            layout[f"transformer.{name}.lora_B.weight"] = ((layer.out_features, rank), torch.bfloat16)
    return layout


def write_tensors(path: Path, layout: Layout, fill: Fill) -> None:
    """A safetensors file, one tensor in memory at a time (https://github.com/huggingface/safetensors, "Format")."""
    header: dict[str, object] = {}
    end = 0
    for name, (shape, dtype) in layout.items():
        begin, end = end, end + torch.Size(shape).numel() * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name, (shape, dtype) in layout.items():
            value = fill(name, shape).to(dtype).reshape(-1).view(torch.uint8)
            file.write(value.cpu().numpy().data)
