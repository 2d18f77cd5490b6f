"""FLUX's transformer, evaluated as an execution says: block by block, wherever each of them lies.

What it computes is diffusers' FluxTransformer2DModel; what does not change within a run is computed once for it.
"""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import torch
from diffusers.models.transformers.transformer_flux import FluxAttention, FluxTransformer2DModel
from torch import nn
from torch.utils._triton import has_triton

from kiss3d_backend.networks.flux.attention import JointAttention, Rotation, attention_by, complex_rotation
from kiss3d_backend.networks.flux.execution import FluxExecution, streamed_blocks
from kiss3d_backend.networks.flux.first_block_cache import FirstBlockCache
from kiss3d_backend.networks.flux.prompt import PromptEmbeddings
from kiss3d_backend.networks.flux.residency import Blocks, ResidentBlocks, StreamedBlocks, parameter_bytes
from kiss3d_backend.networks.flux.scaled_products import ScaledProduct, use_scaled_products
from kiss3d_backend.networks.flux.schedule import TIMESTEPS
from kiss3d_protocol.errors import ParamsInvalid

_log = logging.getLogger(__name__)

_FLOAT8_CAPABILITY = (8, 9)


@attrs.frozen(eq=False)
class Steering:
    """What a ControlNet adds to the picture's tokens: (1, N, width) after every so many double and single blocks."""

    double: tuple[torch.Tensor, ...]
    single: tuple[torch.Tensor, ...]

    def after(self, number: int, double_blocks: int, blocks: int) -> torch.Tensor | None:
        """After block ``number`` of ``blocks``, of which the first ``double_blocks`` are double; None for nothing."""
        if number < double_blocks:
            return _spread(self.double, number, double_blocks)
        return _spread(self.single, number - double_blocks, blocks - double_blocks)


def _spread(parts: tuple[torch.Tensor, ...], number: int, count: int) -> torch.Tensor | None:
    return parts[number // math.ceil(count / len(parts))] if parts else None


@attrs.frozen(eq=False)
class Conditions:
    """What every evaluation of a run shares. ``tokens``: the prompt's, (1, T, width)."""

    tokens: torch.Tensor
    pooled: torch.Tensor
    guidance: torch.Tensor | None
    rotation: Rotation


class Denoiser:
    """``model``: one that load_transformer made, on ``device``, or for streaming in host memory (mapped): then its
    parameters are put where ``execution`` wants them. Its layers compute as that says. ``adapted``: what whoever sets
    LoRAs notes of them, by name.

    Raises :class:`ParamsInvalid` for scaled products on a GPU that has none.
    """

    def __init__(
        self,
        model: FluxTransformer2DModel,
        execution: FluxExecution | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.model = model
        self.execution = execution or FluxExecution()
        self.device = device or model.x_embedder.weight.device
        self.adapted: dict[str, Any] = {}
        blocks = block_list(model)
        self._product: ScaledProduct | None = None
        if self.execution.products == "scaled":
            refuse_without_float8(self.device)
            self._product = ScaledProduct(self.execution.activation_scale)
            use_scaled_products(blocks, self._product)
        for layer in (layer for block in blocks for layer in block.modules()):
            if isinstance(layer, FluxAttention):
                # diffusers lists its own classes only.
                layer.set_processor(JointAttention())  # pyright: ignore[reportArgumentType]
        self._double_blocks = len(model.transformer_blocks)
        self._blocks = self._placed(blocks)
        self._runs, self._run_seconds = 0, 0.0
        self._compiled = False

    def _placed(self, blocks: list[nn.Module]) -> Blocks:
        if not self.execution.streamed:
            return ResidentBlocks(blocks)
        streamed = streamed_blocks([parameter_bytes(block) for block in blocks], self.execution.resident_blocks)
        lists = (self.model.transformer_blocks, self.model.single_transformer_blocks)
        for child in self.model.children():
            if not any(child is kind for kind in lists):
                child.to(self.device)
        for number, block in enumerate(blocks):
            if number not in streamed:
                block.to(self.device)
        return StreamedBlocks(blocks, streamed, self.device)

    @property
    def guided(self) -> bool:
        """Whether it reads the guidance (dev does, schnell does not)."""
        return bool(self.model.config["guidance_embeds"])

    @contextmanager
    def run(self) -> Iterator[None]:
        """For the evaluations of one picture: chooses the attention, and compiles when the execution says so."""
        if self._compiles_now():
            self.compile()
        self._runs += 1
        began = time.monotonic()
        try:
            with attention_by(self.execution.attention), quiet_compiling():
                yield
        finally:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            self._run_seconds += time.monotonic() - began
            if self._product is not None:
                self._product.forget()

    def _compiles_now(self) -> bool:
        if self._compiled or not self.execution.compiled or not self._runs:
            return False
        if self._run_seconds < self.execution.compile_after:
            return False
        if self.device.type == "cuda" and not has_triton():
            _log.warning("Triton is not installed or does not work here: FLUX runs without compiled blocks.")
            return False
        return True

    def compile(self, backend: str | Callable[..., object] = "inductor") -> None:
        """Blocks are compiled at their next use, once for each kind. Until then, and never again, they run as written.

        Takes tens of seconds the first time on a machine.
        """
        for block in block_list(self.model):
            # One size a run: shapes are constants, and another size compiles anew.
            block.compile(fullgraph=True, dynamic=False, backend=backend)
        self._compiled = True

    def conditions(self, prompt: PromptEmbeddings, places: torch.Tensor, guidance: torch.Tensor) -> Conditions:
        """``places``: (N, 3) of the picture's tokens, see latents.places. ``guidance``: (1,) float32."""
        model, dtype = self.model, prompt.tokens.dtype
        text_places = torch.zeros(prompt.tokens.shape[1], 3, dtype=dtype, device=self.device)
        cosines, sines = model.pos_embed(torch.cat([text_places, places.to(self.device, dtype)]))
        return Conditions(
            model.context_embedder(prompt.tokens),
            prompt.pooled,
            guidance if self.guided else None,
            (cosines, sines) if self._compiled else complex_rotation(cosines, sines),
        )

    def evaluate(
        self,
        sample: torch.Tensor,
        time: torch.Tensor,
        conditions: Conditions,
        steering: Callable[[], Steering] | None = None,
        cache: FirstBlockCache | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> torch.Tensor:
        """The velocity (1, N, C) of ``sample`` (1, N, C) at ``time`` (1,), the sigma; all in the compute dtype.

        ``steering``: called when it is needed, which with ``cache`` is not always. ``check``: called before every
        block; an error that it raises ends the evaluation.
        """
        model, count = self.model, len(self._blocks)
        modulation = self._modulation(sample, time, conditions)
        picture, text = model.x_embedder(sample), conditions.tokens
        added: Steering | None = None
        after_first = picture
        for number in range(count):
            check()
            before = picture
            with self._blocks.on_device(number) as block:
                text, picture = block(
                    hidden_states=picture,
                    encoder_hidden_states=text,
                    temb=modulation,
                    image_rotary_emb=conditions.rotation,
                )
            # Single blocks return parts of one tensor. These are of the strides of whole ones, for one compiled graph.
            text, picture = text[0][None], picture[0][None]
            if number == 0:
                after_first = picture
                rest = None if cache is None else cache.rest(picture - before, steering is not None)
                if rest is not None:
                    picture = picture + rest
                    break
                added = None if steering is None else steering()
            addition = None if added is None else added.after(number, self._double_blocks, count)
            if addition is not None:
                picture = picture + addition
        else:
            if cache is not None:
                cache.keep(picture - after_first)
        return model.proj_out(model.norm_out(picture, modulation))

    def _modulation(self, sample: torch.Tensor, time: torch.Tensor, conditions: Conditions) -> torch.Tensor:
        # In this order and with these roundings the published pipelines do it.
        times = time.to(sample.dtype) * TIMESTEPS
        if conditions.guidance is None:
            return self.model.time_text_embed(times, conditions.pooled)
        return self.model.time_text_embed(times, conditions.guidance.to(sample.dtype) * TIMESTEPS, conditions.pooled)


@contextmanager
def quiet_compiling() -> Iterator[None]:
    """Without what torch's compiler says of torch's own older parts: no user can do anything about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`torch\.jit\.", category=DeprecationWarning)
        yield


def block_list(model: FluxTransformer2DModel) -> list[nn.Module]:
    """The double blocks and then the single ones."""
    return [*model.transformer_blocks.children(), *model.single_transformer_blocks.children()]


def refuse_without_float8(device: torch.device) -> None:
    """Raises :class:`ParamsInvalid` on a CUDA device below compute capability 8.9."""
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < _FLOAT8_CAPABILITY:
        raise ParamsInvalid(
            "This graphics card cannot multiply in float8.",
            "Let the weights be widened when they are used (products 'upcast'); cards from the RTX 40 series on can.",
        )
