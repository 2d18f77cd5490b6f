"""Tiny FLUX models, loaded from files by our loaders, and the same weights in diffusers' own pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from numpy.typing import NDArray
from tests.fakes.tiny import flux as tiny
from transformers import CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.checkpoint import open_entry
from kiss3d_backend.networks.flux.autoencoder import load_autoencoder
from kiss3d_backend.networks.flux.controlnet import FILE, load_controlnet
from kiss3d_backend.networks.flux.denoiser import Denoiser
from kiss3d_backend.networks.flux.draw import FluxParts
from kiss3d_backend.networks.flux.prompt import PromptEncoder, read_clip_tokenizer, read_t5_tokenizer
from kiss3d_backend.networks.flux.redux import Redux, load_redux
from kiss3d_backend.networks.flux.single_file import open_flux
from kiss3d_backend.networks.flux.text_encoders import load_clip, load_t5
from kiss3d_backend.networks.flux.transformer import load_transformer

CPU = torch.device("cpu")
SIZE = tiny.Size()


class Held:
    """A part that is always there, and says whether it was released."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.released = 0

    def __call__(self) -> Any:
        return self.network

    def release(self) -> None:
        self.released += 1


@attrs.frozen(eq=False)
class Models:
    """In float32 on the CPU."""

    prompts: PromptEncoder
    transformer: FluxTransformer2DModel
    autoencoder: Any
    controlnet: FluxControlNetModel
    redux: Redux
    folder: Path

    def parts(self) -> FluxParts:
        return FluxParts(
            Held(self.prompts),
            Held(self.autoencoder),
            Held(Denoiser(self.transformer)),
            Held(self.controlnet),
            Held(self.redux),
        )


def load_models(folder: Path, guidance: bool = True) -> Models:
    file = open_flux(tiny.write_single_file(folder / "flux", SIZE, guidance=guidance))
    prompts = PromptEncoder(
        load_clip(file.part("clip"), CPU, torch.float32),
        read_clip_tokenizer(tiny.write_clip_tokenizer(folder / "clip")),
        load_t5(file.part("t5"), CPU, torch.float32),
        read_t5_tokenizer(tiny.write_t5_tokenizer(folder / "t5")),
    )
    control: EntryFiles = tiny.write_controlnet(folder / "controlnet", SIZE)
    return Models(
        prompts,
        load_transformer(file.transformer, CPU, torch.float32),
        load_autoencoder(file.part("vae"), CPU),
        load_controlnet(open_entry(control, FILE), CPU, torch.float32),
        load_redux(tiny.write_redux(folder / "redux", SIZE), CPU, torch.float32),
        folder,
    )


def widened(module: torch.nn.Module, plain: Any) -> Any:
    """``plain``, which is made of ordinary layers, with the weights of ``module`` in float32."""
    state = {name: value.to(torch.float32) for name, value in module.state_dict().items()}
    plain.load_state_dict(state)
    return plain.eval()


def plain_transformer(models: Models) -> FluxTransformer2DModel:
    config = {name: value for name, value in models.transformer.config.items() if not name.startswith("_")}
    return widened(models.transformer, FluxTransformer2DModel(**config))


def plain_t5(models: Models) -> T5EncoderModel:
    ours = models.prompts.t5.config
    return widened(models.prompts.t5, T5EncoderModel(T5Config(**ours.to_dict())))


def pipeline_arguments(models: Models) -> dict[str, Any]:
    """What every pipeline of diffusers takes, from the same files; its scheduler is dev's or schnell's."""
    dev = models.transformer.config["guidance_embeds"]
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0 if dev else 1.0, use_dynamic_shifting=dev),
        "vae": models.autoencoder,
        "text_encoder": models.prompts.clip,
        "tokenizer": CLIPTokenizer.from_pretrained(models.folder / "clip"),
        "text_encoder_2": plain_t5(models),
        "tokenizer_2": T5Tokenizer.from_pretrained(models.folder / "t5"),
        "transformer": plain_transformer(models),
    }


def picture(seed: int, width: int = 64, height: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
