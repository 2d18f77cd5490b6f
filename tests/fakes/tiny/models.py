"""All models at once: a folder for the test hub, and the user's file that makes the catalogue fit it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tests.fakes.tiny import birefnet, chat, florence, flux, flux_box, lrm, zero123
from tests.fakes.tiny.pickled import write_lightning, write_state_dict

from kiss3d_backend.models.catalogue_reader import shipped_catalogue

CHAT = "small_talk"
"""An entry that the shipped catalogue lacks: a user's own chat model, in shards."""
CHAT_REPOSITORY = "someone/small-talk"
REVISION = "main"
SIZE = flux.Size(width=32 * flux_box.HEADS, levels=(8,) * 7)
"""64 pixels a latent: a bundle of 2048 x 1024 stays cheap."""


def write_all(folder: Path) -> str:
    """Writes every file of every entry as OWNER/NAME/REVISION/FILE below ``folder``, names, prefixes and dtypes as
    published. Returns the text of ``models.toml``: repositories as they are, sizes and hashes of the tiny files, and a
    chat model as ``small_talk``."""
    entries = shipped_catalogue().entries

    def place(entry: str) -> Path:
        path = folder / entries[entry].repository / REVISION
        path.mkdir(parents=True, exist_ok=True)
        return path

    flux.write_single_file(place("flux_schnell_fp8"), SIZE, guidance=False, arrange=flux_box.say_box)
    flux.write_single_file(place("flux_dev_fp8"), SIZE, arrange=flux_box.say_box)
    flux.write_clip_tokenizer(place("clip_tokenizer"))
    flux.write_t5_tokenizer(place("t5_tokenizer"))
    flux.write_kohya_lora(place("kiss3dgen_lora"), SIZE)
    other_lora = flux.kohya_lora(SIZE, seed=9)
    save_file(other_lora, place("kiss3dgen_lora_redux") / "rgb_normal_redux.safetensors")
    flux.write_peft_lora(place("flux_turbo_lora"), SIZE)
    flux.write_controlnet(place("controlnet_union"), SIZE)
    _write_redux(place("redux"))
    zero123.write_zero123plus(place("zero123plus"))
    write_state_dict(place("multiview_unet") / "flexgen.ckpt", zero123.flexgen_state_dict())
    write_lightning(place("lrm") / "final_ckpt.ckpt", lrm.tiny_lrm(), "lrm_generator.")
    florence.write_florence(place("florence2"))
    birefnet.write_birefnet(place("birefnet"))
    chat.write_chat(place("prompt_writer"), sharded=False)
    chat.write_chat(folder / CHAT_REPOSITORY / REVISION)

    tables = [
        _table(folder, name, entry.repository, [file.path for file in entry.files], optional={*_optional(entry)})
        for name, entry in entries.items()
    ]
    tables.append(_table(folder, CHAT, CHAT_REPOSITORY, list(chat.FILES), purpose="Rewrites prompts"))
    return "\n".join(tables)


def _write_redux(folder: Path) -> None:
    """With the settings that lie beside the weights; ours come from the weights' shapes."""
    flux.write_redux(folder)
    settings: dict[str, Any] = {
        "image_encoder/config.json": {"architectures": ["SiglipVisionModel"], "model_type": "siglip_vision_model"},
        "image_embedder/config.json": {"_class_name": "ReduxImageEncoder"},
        "feature_extractor/preprocessor_config.json": {
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "SiglipImageProcessor",
            "image_std": [0.5, 0.5, 0.5],
            "resample": 3,
            "size": {"height": 28, "width": 28},
        },
    }
    for name, values in settings.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")


def _optional(entry: Any) -> list[str]:
    return [file.path for file in entry.files if file.optional]


def _table(
    folder: Path, entry: str, repository: str, files: list[str], *, purpose: str = "", optional: set[str] | None = None
) -> str:
    lines = [f"[{entry}]", f'repository = "{repository}"']
    if purpose:
        lines.append(f'purpose = "{purpose}"')
    for file in files:
        path = folder / repository / REVISION / file
        if file in (optional or ()) and not path.exists():
            continue
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        lines += [f'[{entry}.files."{file}"]', f"size = {path.stat().st_size}", f'sha256 = "{sha256}"']
    return "\n".join(lines) + "\n"
