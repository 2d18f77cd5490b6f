"""From words, and perhaps pictures, to a bundle picture: the whole run of FLUX."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import attrs
import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel
from numpy.typing import NDArray
from PIL import Image

from kiss3d_backend.networks.flux.autoencoder import decode_latents, encode_picture, pixels_per_latent
from kiss3d_backend.networks.flux.denoiser import Denoiser
from kiss3d_backend.networks.flux.execution import CACHE_FROM_STEPS, FluxExecution
from kiss3d_backend.networks.flux.first_block_cache import FirstBlockCache
from kiss3d_backend.networks.flux.latents import pack, places, unpack
from kiss3d_backend.networks.flux.preview import small_picture
from kiss3d_backend.networks.flux.prompt import PromptEmbeddings, PromptEncoder
from kiss3d_backend.networks.flux.redux import Redux, with_picture
from kiss3d_backend.networks.flux.schedule import (
    DEV_STATIC_SHIFT,
    first_step,
    flux_sigmas,
    heun_sigmas,
    resolution_shift,
)
from kiss3d_backend.networks.flux.settings import FluxSettings
from kiss3d_backend.networks.flux.solver import evaluation_sigmas, solve
from kiss3d_backend.networks.flux.velocity import Control, FluxVelocity
from kiss3d_protocol.errors import ParamsInvalid

_log = logging.getLogger(__name__)

T = TypeVar("T", covariant=True)


class Part(Protocol[T]):
    """A network that is loaded when it is called for, and leaves memory when it is released."""

    def __call__(self) -> T: ...

    def release(self) -> None: ...


@attrs.frozen(eq=False)
class FluxParts:
    """What a run needs. ``controlnet``, ``redux``: None where the preset goes without.

    ``notes``: sentences for the user about what was loaded; they grow when parts are called for. ``execution``: how the
    run is done; the transformer has been made for it.
    """

    prompts: Part[PromptEncoder]
    autoencoder: Part[AutoencoderKL]
    transformer: Part[Denoiser]
    controlnet: Part[FluxControlNetModel] | None = None
    redux: Part[Redux] | None = None
    notes: Sequence[str] = ()
    execution: FluxExecution = attrs.Factory(FluxExecution)

    def release(self) -> None:
        """The drawings are done: what is not kept between jobs may leave memory."""
        for part in (self.transformer, self.controlnet):
            if part is not None:
                part.release()


@attrs.frozen(eq=False)
class Request:
    """``prompt`` for CLIP, ``long_prompt`` for T5.

    ``reference``: (H, W, 3) uint8 to start from; None starts from noise alone. ``steering``: of the same size, for the
    ControlNet. ``picture``: for Redux. What is None is left out, whatever the settings say.
    """

    prompt: str
    long_prompt: str
    reference: NDArray[np.uint8] | None = None
    steering: NDArray[np.uint8] | None = None
    picture: Image.Image | None = None


@attrs.frozen(eq=False)
class Watcher:
    """What a run tells on its way.

    ``check``: called often, may raise to end the run. ``progress``: evaluations done and their total. ``preview``:
    (h, w, 3) uint8.
    """

    check: Callable[[], None] = lambda: None
    progress: Callable[[int, int], None] = lambda done, total: None
    preview: Callable[[NDArray[np.uint8]], None] = lambda picture: None


def embed(parts: FluxParts, request: Request, settings: FluxSettings, dtype: torch.dtype) -> PromptEmbeddings:
    """The prompt, and Redux's tokens after it; the text encoders and Redux have left memory when this returns."""
    prompt = parts.prompts().encode(request.prompt, request.long_prompt, dtype, settings.tokens)
    parts.prompts.release()
    if settings.redux is not None and request.picture is not None:
        if parts.redux is None:
            raise ParamsInvalid("The settings ask for Redux, and no Redux model was given.")
        prompt = with_picture(prompt, parts.redux().tokens(request.picture), settings.redux)
        parts.redux.release()
    return prompt


@torch.inference_mode()
def draw(
    parts: FluxParts,
    request: Request,
    prompt: PromptEmbeddings,
    settings: FluxSettings,
    generator: torch.Generator,
    watcher: Watcher | None = None,
) -> NDArray[np.uint8]:
    """The picture (height, width, 3) uint8.

    ``prompt``: of :func:`embed`, once for any number of pictures. ``generator``: on the CPU, so that one seed gives
    the same noise on every device; drawn in the published order: for the code of the steering picture, for that of
    the reference, the noise itself. Raises :class:`ParamsInvalid` for sizes that do not fit the models.
    """
    latents = draw_latents(parts, request, prompt, settings, generator, watcher)
    return decode_latents(parts.autoencoder(), latents, tiled=parts.execution.tiled_decode)


@torch.inference_mode()
def draw_latents(
    parts: FluxParts,
    request: Request,
    prompt: PromptEmbeddings,
    settings: FluxSettings,
    generator: torch.Generator,
    watcher: Watcher | None = None,
) -> torch.Tensor:
    """As :func:`draw`, before decoding: (1, C, h, w) float32."""
    watcher = watcher or Watcher()
    autoencoder = parts.autoencoder()
    size = _latent_size(autoencoder, settings)
    device = prompt.tokens.device

    def normal() -> torch.Tensor:
        return torch.randn(size, generator=generator, device=generator.device, dtype=torch.float32)

    def encoded(picture: NDArray[np.uint8]) -> torch.Tensor:
        if picture.shape != (settings.height, settings.width, 3):
            raise ParamsInvalid(
                f"A bundle to start from is {picture.shape[1]} x {picture.shape[0]} pixels, "
                f"and {settings.width} x {settings.height} are to be drawn."
            )
        return encode_picture(autoencoder, picture, normal(), tiled=parts.execution.tiled_decode).to(device)

    control_settings = None if request.steering is None else settings.control
    steering = None if control_settings is None or request.steering is None else pack(encoded(request.steering))
    watcher.check()
    picture = None if request.reference is None else encoded(request.reference)
    watcher.check()
    noise = normal().to(device)

    denoiser = parts.transformer()
    sigmas = run_sigmas(settings, denoiser.guided, size[2] // 2 * (size[3] // 2), picture is not None)
    start = float(sigmas[0])
    sample = pack(noise if picture is None else start * noise + (1.0 - start) * picture)

    control = None
    if control_settings is not None and steering is not None:
        if parts.controlnet is None:
            raise ParamsInvalid("The settings ask for a ControlNet, and no ControlNet model was given.")
        control = Control(
            parts.controlnet(),
            steering.to(prompt.tokens.dtype),
            control_settings.mode,
            control_settings.scale,
            control_settings.start,
            control_settings.end,
        )
    threshold = parts.execution.first_block_cache
    cache = None if threshold is None or settings.steps < CACHE_FROM_STEPS else FirstBlockCache(threshold)
    steps = len(sigmas) - 1
    with denoiser.run():
        velocity = FluxVelocity(
            denoiser,
            prompt,
            places(size[2], size[3]),
            evaluation_sigmas(sigmas, settings.solver),
            settings.guidance,
            control,
            cache,
            watcher.progress,
            watcher.check,
        )
        for step in solve(velocity, sample, sigmas, settings.solver):
            sample = step.sample
            every = settings.preview_every
            if every and (step.number + 1) % every == 0 and step.number + 1 < steps:
                watcher.preview(small_picture(autoencoder, unpack(step.estimate, size[2], size[3])))
    if cache is not None:
        _log.info("the first-block cache left out %d of %d evaluations", cache.skipped, velocity.count)
    return unpack(sample, size[2], size[3])


def run_sigmas(settings: FluxSettings, dev: bool, tokens: int, from_picture: bool) -> NDArray[np.float32]:
    """The sigmas of this run, the final 0 included; strength counts only where there is a picture to start from.

    ``dev``: whether the model reads a guidance, which schnell does not. ``tokens``: of the picture.
    """
    spacing = settings.spacing or ("resolution" if settings.solver == "euler" else "static")
    if spacing == "resolution":
        sigmas = flux_sigmas(settings.steps, resolution_shift(tokens) if dev else None)
    else:
        sigmas = heun_sigmas(settings.steps, DEV_STATIC_SHIFT if dev else 1.0)
    if not from_picture:
        return sigmas
    try:
        return sigmas[first_step(settings.steps, settings.strength) :]
    except ValueError as error:
        raise ParamsInvalid(f"Nothing would be drawn: {error}.", "Raise the strength or the steps.") from error


def _latent_size(autoencoder: AutoencoderKL, settings: FluxSettings) -> tuple[int, int, int, int]:
    cell = pixels_per_latent(autoencoder)
    if settings.width % (2 * cell) or settings.height % (2 * cell):
        raise ParamsInvalid(
            f"Width and height must be multiples of {2 * cell}, and are {settings.width} x {settings.height}."
        )
    return 1, autoencoder.config["latent_channels"], settings.height // cell, settings.width // cell
