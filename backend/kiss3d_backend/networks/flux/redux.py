"""Redux: a picture as tokens that FLUX reads after those of the prompt.

Published at https://huggingface.co/black-forest-labs/FLUX.1-Redux-dev: SigLIP's picture encoder and a small network
that widens its states to T5's.
"""

from __future__ import annotations

import math

import attrs
import torch
from diffusers.pipelines.flux.modeling_flux import ReduxImageEncoder
from PIL import Image
from transformers import SiglipVisionConfig, SiglipVisionModel
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from kiss3d_backend.models.files import EntryFiles
from kiss3d_backend.networks.checkpoint import Tensors, assign, open_entry, parameters_on_meta
from kiss3d_backend.networks.checkpoint.keys import Shape
from kiss3d_backend.networks.flux.bfl_names import count_blocks
from kiss3d_backend.networks.flux.prompt import PromptEmbeddings
from kiss3d_backend.networks.precision import refuse_half_on_cpu
from kiss3d_protocol.errors import ModelKeysWrong

ENCODER_FILE = "image_encoder/model.safetensors"
EMBEDDER_FILE = "image_embedder/diffusion_pytorch_model.safetensors"

_HEAD_WIDTH = 72


@attrs.frozen(eq=False)
class Redux:
    """Picture encoder, embedder, and the square that pictures are scaled to (384 pixels in the published model)."""

    encoder: SiglipVisionModel
    embedder: ReduxImageEncoder
    side: int

    @torch.inference_mode()
    def tokens(self, picture: Image.Image) -> torch.Tensor:
        """(1, 729, T5's width) for ``picture``; it is scaled here, so hand it over as it is."""
        processor = SiglipImageProcessorPil(
            size={"height": self.side, "width": self.side}, resample=Image.Resampling.BICUBIC, do_convert_rgb=True
        )
        pixels = processor(picture, return_tensors="pt")["pixel_values"]
        parameter = next(self.encoder.parameters())
        states = self.encoder(pixels.to(parameter.device, parameter.dtype)).last_hidden_state
        return self.embedder(states).image_embeds


def with_picture(prompt: PromptEmbeddings, tokens: torch.Tensor, strength: float) -> PromptEmbeddings:
    """The prompt's tokens, then the picture's times ``strength`` (0 to 1; upstream has it at 1)."""
    scaled = tokens.to(prompt.tokens.device, prompt.tokens.dtype) * strength
    return PromptEmbeddings(torch.cat([prompt.tokens, scaled], dim=1), prompt.pooled)


def load_redux(files: EntryFiles, device: torch.device, dtype: torch.dtype) -> Redux:
    """From the folders ``image_encoder`` and ``image_embedder`` of the repository, in ``dtype``.

    Raises :class:`ModelFileMissing`, :class:`ModelFileCorrupt`, :class:`ModelKeysWrong`, and :class:`ParamsInvalid`
    for float16 on the CPU.
    """
    refuse_half_on_cpu(device, dtype)
    states = open_entry(files, ENCODER_FILE).renamed(lambda name: name.removeprefix("vision_model."))
    config, side = _encoder_config(states)
    with parameters_on_meta():
        encoder = SiglipVisionModel(config)
    assign(encoder, states, source=states.source, device=device, dtype=dtype)
    up = open_entry(files, EMBEDDER_FILE)
    wide = _shape(up.shapes, "redux_up.weight", 2, up.source)
    with parameters_on_meta():
        embedder = ReduxImageEncoder(redux_dim=wide[1], txt_in_features=wide[0] // 3)
    assign(embedder, up, source=up.source, device=device, dtype=dtype)
    return Redux(encoder.eval(), embedder.eval(), side)


def _encoder_config(tensors: Tensors) -> tuple[SiglipVisionConfig, int]:
    shapes, source = tensors.shapes, tensors.source
    width, _, patch, _ = _shape(shapes, "embeddings.patch_embedding.weight", 4, source)
    patches = _shape(shapes, "embeddings.position_embedding.weight", 2, source)[0]
    side = math.isqrt(patches) * patch
    config = SiglipVisionConfig(
        hidden_size=width,
        intermediate_size=_shape(shapes, "encoder.layers.0.mlp.fc1.weight", 2, source)[0],
        num_hidden_layers=count_blocks(shapes, "encoder.layers."),
        num_attention_heads=max(1, width // _HEAD_WIDTH),
        image_size=side,
        patch_size=patch,
        hidden_act="gelu_pytorch_tanh",
        layer_norm_eps=1e-6,
    )
    config.vision_use_head = "head.probe" in shapes
    return config, side


def _shape(shapes: dict[str, Shape], name: str, dimensions: int, source: str) -> Shape:
    shape = shapes.get(name, ())
    if len(shape) != dimensions:
        raise ModelKeysWrong(f"{source} does not hold Redux: it lacks {name}.")
    return shape
