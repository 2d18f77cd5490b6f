"""The transformer, and the ControlNet while it steers, as a velocity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import attrs
import numpy as np
import torch
from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel
from numpy.typing import NDArray

from kiss3d_backend.networks.flux.denoiser import Denoiser, Steering
from kiss3d_backend.networks.flux.first_block_cache import FirstBlockCache
from kiss3d_backend.networks.flux.prompt import PromptEmbeddings
from kiss3d_backend.networks.flux.schedule import TIMESTEPS


@attrs.frozen(eq=False)
class Control:
    """``picture``: packed latents (1, N, C) of the steering picture. ``mode``: see ControlMode. ``scale``: 0 to 1.

    ``start``, ``end``: the share of the evaluations from and up to which it steers.
    """

    network: FluxControlNetModel
    picture: torch.Tensor
    mode: int
    scale: float
    start: float = 0.0
    end: float = 1.0

    def steers(self, evaluation: int, evaluations: int) -> bool:
        """Whether the ControlNet is evaluated then: not before its start, and not after its end, as published."""
        return evaluation / evaluations >= self.start and (evaluation + 1) / evaluations <= self.end


class FluxVelocity:
    """Call it with a sample (1, N, C) float32 and the number of the evaluation; the velocity is float32.

    ``sigmas``: of every evaluation in order. ``places``: (N, 3), see latents.places. ``guidance``: for models that
    have it. Everything is put on the transformer's device once, here: a call moves nothing and waits for nothing, but
    for the one number that ``cache`` decides by. ``on_evaluation``: called with the number of evaluations done and
    their total, ``count``, after each. ``check``: called before every block; an error that it raises ends an
    evaluation midway.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        prompt: PromptEmbeddings,
        places: torch.Tensor,
        sigmas: NDArray[np.float32],
        guidance: float,
        control: Control | None = None,
        cache: FirstBlockCache | None = None,
        on_evaluation: Callable[[int, int], None] = lambda done, total: None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        device, dtype = prompt.tokens.device, prompt.tokens.dtype
        self._denoiser = denoiser
        self._control = control
        self._cache = cache
        self._on_evaluation = on_evaluation
        self._check = check
        self.count = len(sigmas)
        self._dtype = dtype
        # In this order and with these roundings the published pipelines hand it over.
        self._times = (torch.from_numpy(sigmas) * TIMESTEPS).to(device).to(dtype) / TIMESTEPS
        self._guidance = torch.full((1,), guidance, dtype=torch.float32, device=device)
        self._mode = torch.full((1, 1), 0 if control is None else control.mode, dtype=torch.long, device=device)
        self._conditions = denoiser.conditions(prompt, places, self._guidance)
        self._control_inputs = {
            "pooled_projections": prompt.pooled,
            "encoder_hidden_states": prompt.tokens,
            "txt_ids": torch.zeros(prompt.tokens.shape[1], 3, dtype=dtype, device=device),
            "img_ids": places.to(device, dtype),
            "return_dict": False,
        }

    def __call__(self, sample: torch.Tensor, evaluation: int) -> torch.Tensor:
        sample, time = sample.to(self._dtype), self._times[evaluation : evaluation + 1]
        control = self._control
        steers = control is not None and control.steers(evaluation, self.count)
        velocity = self._denoiser.evaluate(
            sample,
            time,
            self._conditions,
            (lambda: self._steering(control, sample, time)) if control is not None and steers else None,
            self._cache,
            self._check,
        )
        self._on_evaluation(evaluation + 1, self.count)
        return velocity.float()

    def _steering(self, control: Control, sample: torch.Tensor, time: torch.Tensor) -> Steering:
        network = control.network
        with interruptible(self._check, network):
            double, single = network(
                **self._control_inputs,
                hidden_states=sample,
                timestep=time,
                controlnet_cond=control.picture,
                controlnet_mode=self._mode,
                conditioning_scale=control.scale,
                guidance=self._guidance if network.config["guidance_embeds"] else None,
            )
        return Steering(tuple(double or ()), tuple(single or ()))


@contextmanager
def interruptible(check: Callable[[], None], network: FluxControlNetModel) -> Iterator[None]:
    """Calls ``check`` before every block of the ``network``: an error that it raises ends an evaluation midway."""
    with ExitStack() as hooks:
        for block in [*network.transformer_blocks.children(), *network.single_transformer_blocks.children()]:
            hooks.callback(block.register_forward_pre_hook(lambda module, args: check()).remove)
        yield
