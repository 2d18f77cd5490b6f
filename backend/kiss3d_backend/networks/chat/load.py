"""A chat model from its verified files to a device."""

from __future__ import annotations

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.chat.writer import Writer
from kiss3d_backend.networks.checkpoint import assign, open_entry, parameters_on_meta
from kiss3d_backend.networks.precision import refuse_half_on_cpu
from kiss3d_backend.networks.settings_folder import settings_folder
from kiss3d_protocol.errors import ModelFileCorrupt

WEIGHTS = "model.safetensors"
"""Or its shards, by ``model.safetensors.index.json``."""
_REQUIRED = ("config.json", "tokenizer.json", "tokenizer_config.json")


def load_writer(files: EntryFiles, device: torch.device | str, dtype: torch.dtype) -> Writer:
    """The model, in evaluation mode, and its tokenizer. No hub is asked and no code of the files runs.

    ``dtype``: float32 or bfloat16, on CUDA float16 too. Raises :class:`ModelFileMissing`, :class:`ModelFileCorrupt` for
    a model that transformers has no class for or cannot set up, :class:`ModelKeysWrong`, and :class:`ParamsInvalid` for
    float16 on the CPU.
    """
    refuse_half_on_cpu(torch.device(device), dtype)
    for file in _REQUIRED:
        files.path(file)
    with settings_folder(files) as folder:
        try:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            with parameters_on_meta():
                model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
        except Exception as error:
            # Each library refuses bad settings in its own way.
            raise ModelFileCorrupt(
                f"The settings of '{files.entry}' cannot be used ({type(error).__name__}: {str(error)[:200]}).",
                "Use a chat model that transformers knows without code of its own, as safetensors.",
            ) from error
    weights = open_entry(files, WEIGHTS)
    assign(model, weights, source=weights.source, device=device, dtype=dtype)
    return Writer(model.eval(), tokenizer)
