"""Our loop against diffusers' pipelines, and its pieces against their definitions."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from diffusers.pipelines.flux.pipeline_flux_controlnet import FluxControlNetPipeline
from diffusers.pipelines.flux.pipeline_flux_controlnet_image_to_image import FluxControlNetImg2ImgPipeline
from diffusers.pipelines.flux.pipeline_flux_img2img import FluxImg2ImgPipeline
from diffusers.pipelines.flux.pipeline_flux_prior_redux import FluxPriorReduxPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_flow_match_heun_discrete import FlowMatchHeunDiscreteScheduler
from PIL import Image
from tests.learned.flux_models import Models, load_models, picture, pipeline_arguments
from torch.overrides import TorchFunctionMode
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from kiss3d_backend.networks.flux.draw import Request, draw, draw_latents, embed
from kiss3d_backend.networks.flux.latents import pack, places, unpack
from kiss3d_backend.networks.flux.schedule import first_step, flux_sigmas, heun_sigmas, resolution_shift
from kiss3d_backend.networks.flux.settings import ControlSettings, FluxSettings
from kiss3d_backend.networks.flux.solver import evaluation_sigmas, solve
from kiss3d_protocol.errors import ParamsInvalid

WIDTH, HEIGHT = 64, 32
PROMPT, LONG_PROMPT = "a view", "the white grid of a view, er"
STEPS_AND_STRENGTHS = [(1, 1.0), (3, 0.95), (4, 0.3), (7, 0.61), (10, 0.15)]


@pytest.fixture(scope="module", params=[True, False], ids=["dev", "schnell"])
def models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Models:
    return load_models(tmp_path_factory.mktemp("models"), guidance=request.param)


@pytest.fixture(scope="module")
def arguments(models: Models) -> Iterator[dict[str, Any]]:
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    yield pipeline_arguments(models)


def settings(steps: int, **others: Any) -> FluxSettings:
    return FluxSettings(steps=steps, width=WIDTH, height=HEIGHT, tokens=24, preview_every=0, **others)


def ours(models: Models, settings: FluxSettings, seed: int, **inputs: Any) -> torch.Tensor:
    parts = models.parts()
    request = Request(PROMPT, LONG_PROMPT, **inputs)
    prompt = embed(parts, request, settings, torch.float32)
    return draw_latents(parts, request, prompt, settings, torch.Generator().manual_seed(seed))


def theirs(pipeline: Any, seed: int, **inputs: Any) -> torch.Tensor:
    pipeline.set_progress_bar_config(disable=True)
    packed = pipeline(
        prompt=PROMPT,
        prompt_2=LONG_PROMPT,
        width=WIDTH,
        height=HEIGHT,
        guidance_scale=3.5,
        max_sequence_length=24,
        output_type="latent",
        generator=torch.Generator().manual_seed(seed),
        **inputs,
    ).images
    return unpack(packed, HEIGHT // 2, WIDTH // 2)


def assert_same(got: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.std() > 0.1, "a comparison of nothing"
    assert (got - expected).abs().max() < 1e-3


@pytest.mark.parametrize("steps", [1, 4, 9])
def test_text_to_image_is_that_of_diffusers(models: Models, arguments: dict[str, Any], steps: int) -> None:
    assert_same(
        ours(models, settings(steps), steps), theirs(FluxPipeline(**arguments), steps, num_inference_steps=steps)
    )


def test_picture_is_that_of_diffusers(models: Models, arguments: dict[str, Any]) -> None:
    parts, chosen, request = models.parts(), settings(2), Request(PROMPT, LONG_PROMPT)
    prompt = embed(parts, request, chosen, torch.float32)
    got = draw(parts, request, prompt, chosen, torch.Generator().manual_seed(8))
    pipeline = FluxPipeline(**arguments)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        PROMPT, LONG_PROMPT, width=WIDTH, height=HEIGHT, num_inference_steps=2, guidance_scale=3.5,
        max_sequence_length=24, generator=torch.Generator().manual_seed(8),
    ).images[0]  # fmt: skip
    assert got.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(got.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize(("steps", "strength"), STEPS_AND_STRENGTHS)
def test_image_to_image_is_that_of_diffusers(
    models: Models, arguments: dict[str, Any], steps: int, strength: float
) -> None:
    start = picture(1)
    expected = theirs(
        FluxImg2ImgPipeline(**arguments), 5, image=Image.fromarray(start), num_inference_steps=steps, strength=strength
    )
    assert_same(ours(models, settings(steps, strength=strength), 5, reference=start), expected)


@pytest.mark.parametrize(("steps", "strength", "end"), [(5, 0.95, 0.65), (3, 1.0, 0.3), (8, 0.7, 1.0), (4, 0.9, 0.0)])
def test_controlnet_from_a_picture_is_that_of_diffusers(
    models: Models, arguments: dict[str, Any], steps: int, strength: float, end: float
) -> None:
    start, steering = picture(1), picture(2)
    chosen = settings(steps, strength=strength, control=ControlSettings(scale=0.6, end=end))
    expected = theirs(
        FluxControlNetImg2ImgPipeline(**arguments, controlnet=models.controlnet),
        6,
        image=Image.fromarray(start),
        control_image=Image.fromarray(steering),
        control_mode=1,
        controlnet_conditioning_scale=0.6,
        control_guidance_end=end,
        num_inference_steps=steps,
        strength=strength,
    )
    got = ours(models, chosen, 6, reference=start, steering=steering)
    assert_same(got, expected)
    if end > 0.5:
        idle = attrs.evolve(chosen, control=ControlSettings(scale=0.0, end=end))
        free = ours(models, idle, 6, reference=start, steering=steering)
        assert (got - free).abs().max() > 1e-2, "the ControlNet does nothing here, so nothing was compared"


def test_controlnet_from_noise_is_that_of_diffusers(models: Models, arguments: dict[str, Any]) -> None:
    steering = picture(2)
    chosen = settings(4, control=ControlSettings(scale=0.9, start=0.3, end=0.8, mode=4))
    expected = theirs(
        FluxControlNetPipeline(**arguments, controlnet=models.controlnet),
        7,
        control_image=Image.fromarray(steering),
        control_mode=4,
        controlnet_conditioning_scale=0.9,
        control_guidance_start=0.3,
        control_guidance_end=0.8,
        num_inference_steps=4,
    )
    assert_same(ours(models, chosen, 7, steering=steering), expected)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_redux_is_that_of_diffusers_times_the_strength(
    models: Models, arguments: dict[str, Any], strength: float
) -> None:
    shown = Image.fromarray(picture(3, 50, 41))
    names = ("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
    prior = FluxPriorReduxPipeline(
        image_encoder=models.redux.encoder,
        feature_extractor=SiglipImageProcessorPil(size={"height": 28, "width": 28}),
        image_embedder=models.redux.embedder,
        **{name: arguments[name] for name in names},
    )
    expected = prior(image=shown, prompt=PROMPT, prompt_2=LONG_PROMPT)
    chosen = FluxSettings(steps=1, redux=strength)
    got = embed(models.parts(), Request(PROMPT, LONG_PROMPT, picture=shown), chosen, torch.float32)
    assert got.tokens.shape == expected.prompt_embeds.shape == (1, 512 + 4, 32)
    assert_same(got.tokens[:, :512], expected.prompt_embeds[:, :512])
    assert_same(got.tokens[:, 512:], expected.prompt_embeds[:, 512:] * strength)
    assert_same(got.pooled, expected.pooled_prompt_embeds)


@pytest.mark.parametrize(("steps", "strength"), STEPS_AND_STRENGTHS)
def test_heun_is_that_of_diffusers_scheduler(
    models: Models, arguments: dict[str, Any], steps: int, strength: float
) -> None:
    """Its pipelines refuse this scheduler, so the loop around it is written here, by its own documentation."""
    start = picture(1)
    dev = models.transformer.config["guidance_embeds"]
    scheduler = FlowMatchHeunDiscreteScheduler.from_config(arguments["scheduler"].config)
    scheduler.set_timesteps(steps)
    pipeline = FluxImg2ImgPipeline(**{**arguments, "scheduler": scheduler})
    times, left = pipeline.get_timesteps(steps, strength, "cpu")
    assert len(times) == 2 * left - 1
    generator = torch.Generator().manual_seed(4)
    with torch.inference_mode():
        tokens, pooled, text_places = pipeline.encode_prompt(PROMPT, LONG_PROMPT, max_sequence_length=24)
        pixels = pipeline.image_processor.preprocess(Image.fromarray(start), height=HEIGHT, width=WIDTH)
        code = pipeline._encode_vae_image(pixels, generator)
        noise = torch.randn(code.shape, generator=generator)
        sample = pack(scheduler.scale_noise(code, times[:1], noise))
        for time in times:
            velocity = arguments["transformer"](
                hidden_states=sample,
                timestep=time[None] / 1000,
                guidance=torch.tensor([3.5]) if dev else None,
                pooled_projections=pooled,
                encoder_hidden_states=tokens,
                txt_ids=text_places,
                img_ids=places(HEIGHT // 2, WIDTH // 2),
            ).sample
            sample = scheduler.step(velocity, time, sample).prev_sample
    got = ours(models, settings(steps, solver="heun", strength=strength), 4, reference=start)
    assert_same(got, unpack(sample, HEIGHT // 2, WIDTH // 2))


class Waits(TorchFunctionMode):
    """Notes the calls whose results the host must wait for: numbers out of tensors, sizes that depend on them."""

    NAMES = frozenset({"item", "tolist", "numpy", "cpu", "nonzero", "unique"} | {"__bool__", "__float__", "__int__"})

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in self.NAMES:
            self.seen.append(func.__name__)
        return func(*args, **(kwargs or {}))


def test_host_waits_for_nothing_between_steps(models: Models) -> None:
    with Waits() as known, torch.inference_mode():
        torch.ones(2)[0].item()
        bool(torch.ones(1) > 0)
    assert known.seen == ["item", "__bool__"], "it sees them where the loop runs"
    chosen = settings(3, control=ControlSettings(end=0.7), solver="heun")
    parts, request = models.parts(), Request(PROMPT, LONG_PROMPT, picture(1), picture(2))
    prompt = embed(parts, request, chosen, torch.float32)
    with Waits() as waits:
        draw_latents(parts, request, prompt, chosen, torch.Generator().manual_seed(1))
    assert waits.seen == []


# The pieces alone.


def test_sigmas_are_the_schedulers() -> None:
    for steps in (1, 2, 3, 8, 20, 50):
        even = np.linspace(1.0, 1 / steps, steps)
        for tokens in (64, 256, 4096, 8192):
            scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
            scheduler.set_timesteps(sigmas=even, mu=resolution_shift(tokens))
            np.testing.assert_array_equal(flux_sigmas(steps, resolution_shift(tokens)), scheduler.sigmas.numpy())
        scheduler = FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(sigmas=even)
        np.testing.assert_array_equal(flux_sigmas(steps, None), scheduler.sigmas.numpy())
        for shift in (1.0, 3.0):
            heun = FlowMatchHeunDiscreteScheduler(shift=shift)
            heun.set_timesteps(steps)
            sigmas = heun_sigmas(steps, shift)
            np.testing.assert_array_equal(evaluation_sigmas(sigmas, "heun") * np.float32(1000), heun.timesteps.numpy())
            assert sigmas[-1] == 0


def test_shift_passes_through_the_published_points() -> None:
    assert resolution_shift(256) == pytest.approx(0.5)
    assert resolution_shift(4096) == pytest.approx(1.15)
    assert resolution_shift(8192) == pytest.approx(0.5 + (8192 - 256) / (4096 - 256) * 0.65)


@pytest.mark.parametrize(
    ("steps", "strength", "start"), [(20, 0.95, 1), (4, 0.95, 0), (10, 0.3, 7), (7, 0.61, 2), (8, 1.0, 0)]
)
def test_strength_leaves_out_steps_rounded_down(steps: int, strength: float, start: int) -> None:
    assert first_step(steps, strength) == start


def test_strength_that_leaves_nothing_is_refused(models: Models) -> None:
    with pytest.raises(ParamsInvalid, match="Nothing would be drawn"):
        ours(models, settings(4, strength=1e-18), 1, reference=picture(1))


def test_packing_is_by_patches_and_can_be_undone() -> None:
    latents = torch.arange(2 * 4 * 6, dtype=torch.float32).reshape(1, 2, 4, 6)
    packed = pack(latents)
    assert packed.shape == (1, 6, 8)
    assert packed[0, 1].tolist() == latents[0, :, :2, 2:4].flatten().tolist()
    assert torch.equal(unpack(packed, 4, 6), latents)
    assert places(4, 6).tolist() == [[0, row, column] for row in range(2) for column in range(3)]


@pytest.mark.parametrize("steps", [1, 2, 5, 11])
def test_heun_by_its_definition_in_float64(steps: int) -> None:
    """x' = x cos(5 s) + s: half the sum of the slopes at both ends of a step, the last step by Euler."""
    sigmas = flux_sigmas(steps, 0.8)

    def slope(x: float, sigma: float) -> float:
        return x * np.cos(5 * sigma) + sigma

    expected = 1.7
    for here, there in zip(sigmas.astype(np.float64)[:-1], sigmas.astype(np.float64)[1:], strict=True):
        first = slope(expected, here)
        ahead = expected + (there - here) * first
        second = slope(ahead, there) if there > 0 else first
        expected += (there - here) * (first + second) / 2
    levels, seen = evaluation_sigmas(sigmas, "heun"), []

    def velocity(x: torch.Tensor, evaluation: int) -> torch.Tensor:
        seen.append(evaluation)
        return slope(x, float(levels[evaluation]))  # type: ignore[arg-type, return-value]

    *_, last = solve(velocity, torch.tensor(1.7), sigmas, "heun")
    assert seen == list(range(2 * steps - 1))
    assert float(last.sample) == pytest.approx(expected, abs=1e-5)


def test_heun_is_of_second_order_and_euler_of_first() -> None:
    """For x' = -x from 1 to 0 (and so x(0) = e x(1)) up to the last step, which is Euler's and short here."""

    def error(solver: Any, steps: int) -> float:
        sigmas = np.append(np.linspace(1, 1e-6, steps), 0).astype(np.float32)
        *_, last = solve(lambda x, _: -x, torch.tensor(1.0, dtype=torch.float64), sigmas, solver)
        return abs(float(last.sample) - np.e)

    assert error("euler", 40) / error("euler", 80) == pytest.approx(2, rel=0.1)
    assert error("heun", 40) / error("heun", 80) == pytest.approx(4, rel=0.15)


def test_estimate_is_the_picture_when_the_path_is_straight() -> None:
    end, noise = torch.randn(5), torch.randn(5)
    steps = list(solve(lambda x, _: noise - end, noise, flux_sigmas(4, None), "euler"))
    for step in steps:
        torch.testing.assert_close(step.estimate, end)
    torch.testing.assert_close(steps[-1].sample, end)


def test_sizes_that_do_not_fit_are_refused(models: Models) -> None:
    with pytest.raises(ParamsInvalid, match="multiples of 4"):
        ours(models, attrs.evolve(settings(1), width=66), 1)
    with pytest.raises(ParamsInvalid, match="50 x 32"):
        ours(models, settings(1), 1, reference=picture(1, 50, 32))
