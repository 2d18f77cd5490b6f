"""Florence-2 from its verified files to a device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Florence2Config, Florence2ForConditionalGeneration, Florence2Processor
from transformers.generation.configuration_utils import GenerationConfig
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.checkpoint import assign, open_entry, parameters_on_meta
from kiss3d_backend.networks.florence.captioner import Captioner
from kiss3d_backend.networks.precision import refuse_half_on_cpu
from kiss3d_backend.networks.settings_folder import settings_folder
from kiss3d_protocol.errors import ModelFileCorrupt, ModelFileMissing

WEIGHTS = "model.safetensors"
_REQUIRED = ("config.json", "tokenizer.json", "tokenizer_config.json")
_IMAGE_SETTINGS = ("preprocessor_config.json", "processor_config.json")


def load_captioner(files: EntryFiles, device: torch.device | str, dtype: torch.dtype) -> Captioner:
    """The model, in evaluation mode, and what prepares its inputs. No hub is asked and no code of the files runs.

    ``dtype``: float32 or bfloat16, on CUDA float16 too. Raises :class:`ModelFileMissing`, :class:`ModelFileCorrupt` for
    settings that transformers cannot use, :class:`ModelKeysWrong`, and :class:`ParamsInvalid` for float16 on the CPU.
    """
    refuse_half_on_cpu(torch.device(device), dtype)
    for file in _REQUIRED:
        files.path(file)
    with settings_folder(files) as folder:
        try:
            config = Florence2Config.from_dict(_read(folder / "config.json"))
            processor = _processor(files, folder)
            with parameters_on_meta():
                model = Florence2ForConditionalGeneration(config)
            model.generation_config = _generation(folder, config)
        except ModelFileMissing:
            raise
        except Exception as error:
            # Each library refuses bad settings in its own way.
            raise ModelFileCorrupt(
                f"The settings of '{files.entry}' cannot be used ({type(error).__name__}: {str(error)[:200]})."
            ) from error
    weights = open_entry(files, WEIGHTS)
    assign(model, weights, source=weights.source, device=device, dtype=dtype)
    return Captioner(model.eval(), processor)


def _read(path: Path) -> dict[str, Any]:
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} is not an object")
    return values


def _processor(files: EntryFiles, folder: Path) -> Florence2Processor:
    """The image processor that works without torchvision, whichever the settings name."""
    found = [folder / name for name in _IMAGE_SETTINGS if name in files.paths]
    settings = [values.get("image_processor", values) for values in map(_read, found)]
    settings = [values for values in settings if "image_mean" in values]
    if not settings:
        raise ModelFileMissing(f"The model '{files.entry}' lacks its file {_IMAGE_SETTINGS[0]}.")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    return Florence2Processor(image_processor=CLIPImageProcessorPil(**settings[0]), tokenizer=tokenizer)


def _generation(folder: Path, config: Florence2Config) -> GenerationConfig:
    path = folder / "generation_config.json"
    return GenerationConfig.from_dict(_read(path)) if path.exists() else GenerationConfig.from_model_config(config)
