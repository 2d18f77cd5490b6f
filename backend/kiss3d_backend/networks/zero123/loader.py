"""From verified files to the parts of Zero123++; no file is fetched here, and no hub is asked.

The UNet's configuration comes from the Zero123++ repository, its weights from Kiss3DGen: the repository's own UNet
weights are not used and need not be there. Every function raises :class:`ModelFileMissing`, :class:`ModelFileCorrupt`,
:class:`ModelKeysWrong`, and :class:`ParamsInvalid` for float16 on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.checkpoint import Tensors, assign, open_entry, parameters_on_meta
from kiss3d_backend.networks.precision import refuse_half_on_cpu
from kiss3d_backend.networks.zero123.autoencoder import Autoencoder
from kiss3d_backend.networks.zero123.conditioning import Conditioner
from kiss3d_backend.networks.zero123.configuration import arguments_of, ramp_of, read_json
from kiss3d_backend.networks.zero123.names import as_in_clip_text_model, as_in_vae, is_weight
from kiss3d_backend.networks.zero123.reference import ReferenceUNet
from kiss3d_backend.networks.zero123.tokenizer import read_tokenizer
from kiss3d_protocol.errors import ModelFileMissing

Module = TypeVar("Module", bound=torch.nn.Module)


def load_unet(repository: EntryFiles, unet: EntryFiles, device: torch.device, dtype: torch.dtype) -> ReferenceUNet:
    """``repository``: Zero123++ v1.2. ``unet``: Kiss3DGen's weights, one safetensors file."""
    configuration = arguments_of(UNet2DConditionModel, read_json(repository, "unet/config.json"))
    weights = open_entry(unet, _only_weights(unet))
    return ReferenceUNet(_filled(lambda: UNet2DConditionModel(**configuration), weights, device, dtype))


def load_autoencoder(
    repository: EntryFiles, device: torch.device, dtype: torch.dtype, *, tiled: bool = False
) -> Autoencoder:
    """``tiled``: see :class:`Autoencoder`."""
    configuration = arguments_of(AutoencoderKL, read_json(repository, "vae/config.json"))
    weights = open_entry(repository, "vae/diffusion_pytorch_model.safetensors").renamed(as_in_vae)
    vae = _filled(lambda: AutoencoderKL(**configuration), weights, device, dtype)
    return Autoencoder(vae, _image_processor(repository, "feature_extractor_vae"), tiled)


def load_conditioner(repository: EntryFiles, device: torch.device, dtype: torch.dtype) -> Conditioner:
    """Text encoder, vision encoder and what prepares their inputs."""
    text = arguments_of(CLIPTextConfig, read_json(repository, "text_encoder/config.json"))
    vision = arguments_of(CLIPVisionConfig, read_json(repository, "vision_encoder/config.json"))
    text_weights = open_entry(repository, "text_encoder/model.safetensors").where(is_weight)
    vision_weights = open_entry(repository, "vision_encoder/model.safetensors").where(is_weight)
    return Conditioner(
        tokenizer=read_tokenizer(repository),
        text_encoder=_filled(
            lambda: CLIPTextModel(CLIPTextConfig(**text)),
            text_weights.renamed(as_in_clip_text_model),
            device,
            dtype,
        ),
        vision_encoder=_filled(
            lambda: CLIPVisionModelWithProjection(CLIPVisionConfig(**vision)), vision_weights, device, dtype
        ),
        image_processor=_image_processor(repository, "feature_extractor_clip"),
        ramp=ramp_of(repository),
    )


def _filled(make: Callable[[], Module], weights: Tensors, device: torch.device, dtype: torch.dtype) -> Module:
    refuse_half_on_cpu(device, dtype)
    with parameters_on_meta():
        module = make()
    assign(module, weights, source=weights.source, device=device, dtype=dtype)
    return module.eval()


def _image_processor(repository: EntryFiles, folder: str) -> CLIPImageProcessorPil:
    configuration = read_json(repository, f"{folder}/preprocessor_config.json")
    return CLIPImageProcessorPil(**{name: value for name, value in configuration.items() if name in _IMAGE_SETTINGS})


_IMAGE_SETTINGS = frozenset(
    {
        "crop_size",
        "do_center_crop",
        "do_convert_rgb",
        "do_normalize",
        "do_rescale",
        "do_resize",
        "image_mean",
        "image_std",
        "resample",
        "rescale_factor",
        "size",
    }
)


def _only_weights(unet: EntryFiles) -> str:
    files = [file for file in unet.paths if file.endswith(".safetensors")]
    if len(files) != 1:
        raise ModelFileMissing(f"The model '{unet.entry}' should have one safetensors file, not {len(files)}.")
    return files[0]
