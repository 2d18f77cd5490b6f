"""The multiview network against its definition, written again here in float64: no batches, no processors, no library
sampler.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, EulerAncestralDiscreteScheduler, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file
from tests.fakes.tiny.zero123 import TOKENS, entry_files, write_flexgen, write_zero123plus
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

from kiss3d_backend.networks.zero123.autoencoder import Autoencoder
from kiss3d_backend.networks.zero123.noise import Noise
from kiss3d_backend.networks.zero123.parts import Parts, parts_from_files
from kiss3d_backend.networks.zero123.pipeline import make_latents, make_tiles
from kiss3d_backend.networks.zero123.preview import approximate_picture
from kiss3d_backend.networks.zero123.schedule import ancestral_step, denoised, scale_input, trailing_schedule
from kiss3d_backend.networks.zero123.settings import SamplingSettings
from kiss3d_protocol.errors import ModelFileCorrupt, ParamsInvalid

PICTURE_SIDE = 64
SIDE = 128
SCALE = 8
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny tensors gain nothing from more, and lose much when other processes work as well."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_zero123plus(folder / "zero123plus", picture_side=PICTURE_SIDE, levels=4)
    write_flexgen(folder / "flexgen")
    return folder


@pytest.fixture(scope="module")
def parts(folder: Path) -> Parts:
    """Loaded once."""
    repository = entry_files("zero123plus", folder / "zero123plus")
    loaded = parts_from_files(repository, entry_files("multiview_unet", folder / "flexgen"), CPU, torch.float32)
    scheduler, conditioner, autoencoder, unet = (
        loaded.scheduler(),
        loaded.conditioner(),
        loaded.autoencoder(),
        loaded.unet(),
    )
    return Parts(lambda: scheduler, lambda: conditioner, lambda: autoencoder, lambda: unet)


def picture(seed: int = 0) -> np.ndarray:
    """Coloured blocks on white, of a size that has to be resized."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    result = np.full((150, 150, 3), 255, np.uint8)
    result[15:135, 15:135] = blocks.repeat(20, 0).repeat(20, 1)
    return result


def drawn(steps: int, seed: int = 0) -> Noise:
    size, condition = (4, SIDE // SCALE, SIDE // SCALE), (4, PICTURE_SIDE // SCALE, PICTURE_SIDE // SCALE)
    return Noise.draw(torch.Generator().manual_seed(seed), steps, size, condition)


def run(parts: Parts, settings: SamplingSettings, noise: torch.Generator | Noise) -> torch.Tensor:
    """The latents."""
    return make_latents(picture(), parts, settings, noise, _ignore, _ignore)


def _ignore(*_: object) -> None:
    return


# The definition, again


def definition(folder: Path, steps: int, guidance: float, noise: Noise) -> tuple[torch.Tensor, torch.Tensor]:
    """What the published pipeline computes from the same files and numbers (arXiv 2310.15110), item by item.

    Latents, and pixels (3, H, W) in [0, 1].
    """
    root = folder / "zero123plus"
    unet = _module(root / "unet", UNet2DConditionModel, load_file(folder / "flexgen" / "flexgen.safetensors"))
    vae = _module(root / "vae", AutoencoderKL, load_file(root / "vae" / "diffusion_pytorch_model.safetensors"))
    texts = _texts(root)
    pixels = _normalised(picture(), PICTURE_SIDE, [0.5] * 3, [0.8] * 3)

    references = []
    for shown, code_noise in ((torch.zeros_like(pixels), noise.negative), (pixels, noise.picture)):
        moments = vae.quant_conv(vae.encoder(shown))
        mean, log_variance = moments.chunk(2, dim=1)
        references.append(mean + torch.exp(log_variance / 2) * code_noise.double())

    sigmas, timesteps = _levels(steps)
    latents = noise.initial.double() * sigmas[0]
    for step, timestep in enumerate(timesteps):
        sigma, following = sigmas[step], sigmas[step + 1]
        alpha, spread = 1 / math.sqrt(1 + sigma**2), sigma / math.sqrt(1 + sigma**2)
        v = []
        for item in range(2):
            reference = (references[item] + sigma * noise.condition[step, item].double()) * alpha
            v.append(_with_reference(unet, latents * alpha, reference, timestep, texts[item]))
        guided = v[0] + guidance * (v[1] - v[0]) if guidance > 1 else v[1]
        signal = alpha * (latents * alpha) - spread * guided
        up = following * math.sqrt(1 - (following / sigma) ** 2)
        down = following**2 / sigma
        latents = signal + (latents - signal) / sigma * down + up * noise.ancestral[step].double()

    code = (latents / 0.75 + 0.22) / 0.18215
    decoded = vae.decoder(vae.post_quant_conv(code)) * 0.8 / 0.5
    return latents, ((decoded[0] + 1) / 2).clamp(0, 1)


def _levels(steps: int) -> tuple[list[float], list[int]]:
    betas = np.linspace(0.00085, 0.012, 1000)
    kept = np.cumprod(1 - betas)
    timesteps = [round(1000 - index * 1000 / steps) - 1 for index in range(steps)]
    return [*(math.sqrt((1 - kept[t]) / kept[t]) for t in timesteps), 0.0], timesteps


def _with_reference(
    unet: UNet2DConditionModel, latents: torch.Tensor, reference: torch.Tensor, timestep: int, text: torch.Tensor
) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    attentions = [module for name, module in unet.named_modules() if name.endswith("attn1")]

    def write(layer: Any, hidden: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        seen.append(hidden)
        return _attention(layer, hidden, hidden)

    def read(layer: Any, hidden: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return _attention(layer, hidden, torch.cat([hidden, seen.pop(0)], dim=1))

    result = latents
    for how, sample in ((write, reference), (read, latents)):
        for layer in attentions:
            layer.forward = partial(how, layer)
        result = unet(sample, torch.tensor(float(timestep)), encoder_hidden_states=text).sample
    assert not seen
    return result


def _attention(layer: Any, queries_from: torch.Tensor, rest_from: torch.Tensor) -> torch.Tensor:
    def heads(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.unflatten(-1, (layer.heads, -1)).transpose(1, 2)

    query, key, value = heads(layer.to_q(queries_from)), heads(layer.to_k(rest_from)), heads(layer.to_v(rest_from))
    weights = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]), dim=-1)
    return layer.to_out[0]((weights @ value).transpose(1, 2).flatten(2))


def _texts(root: Path) -> tuple[torch.Tensor, torch.Tensor]:
    text = load_file(root / "text_encoder" / "model.safetensors")
    text = {name.removeprefix("text_model."): tensor for name, tensor in text.items()}
    text_encoder = _module(root / "text_encoder", CLIPTextModel, text, CLIPTextConfig)
    weights = load_file(root / "vision_encoder" / "model.safetensors")
    vision_encoder = _module(root / "vision_encoder", CLIPVisionModelWithProjection, weights, CLIPVisionConfig)
    # Start, end, and the padding "!", which is number 0.
    empty = text_encoder(torch.tensor([[6, 7] + [0] * (TOKENS - 2)])).last_hidden_state
    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    seen = vision_encoder(_normalised(picture(), 28, mean, deviation)).image_embeds
    ramp = json.loads((root / "model_index.json").read_text(encoding="utf-8"))["ramping_coefficients"]
    return empty, empty + torch.outer(torch.tensor(ramp, dtype=torch.float64), seen[0])


def _normalised(rgb: np.ndarray, side: int, mean: list[float], deviation: list[float]) -> torch.Tensor:
    small = Image.fromarray(rgb).resize((side, side), Image.Resampling.BICUBIC)
    values = (np.asarray(small) / 255.0 - mean) / deviation
    return torch.from_numpy(values).permute(2, 0, 1)[None]


def _module(folder: Path, make: Callable[..., Any], weights: dict[str, torch.Tensor], config: Any = None) -> Any:
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    about = ("_class_name", "_diffusers_version", "architectures", "model_type", "torch_dtype", "transformers_version")
    settings = {name: value for name, value in settings.items() if name not in about}
    module = make(config(**settings)) if config else make(**settings)
    module.load_state_dict(weights)
    return module.double().eval()


@pytest.mark.parametrize(
    ("steps", "guidance"), [(1, 4.0), (2, 4.0), (3, 1.0), (5, 4.0), (7, 2.5), (4, 0.0)], ids=lambda value: str(value)
)
def test_agrees_with_the_definition(folder: Path, parts: Parts, steps: int, guidance: float) -> None:
    noise = drawn(steps, seed=steps)
    settings = SamplingSettings(steps, guidance, SIDE)
    latents = run(parts, settings, noise)
    with torch.inference_mode():
        wanted, wanted_pixels = definition(folder, steps, guidance, noise)
    assert wanted.abs().max() > 0.5
    assert (latents - wanted).abs().max() < 1e-4
    assert wanted_pixels.std() > 0.1
    assert (parts.autoencoder().decode(latents) - wanted_pixels).abs().max() < 1e-4
    made = make_tiles(picture(), parts, settings, noise, _ignore, _ignore)
    assert np.abs(made - wanted_pixels.permute(1, 2, 0).numpy() * 255).max() < 0.53


def test_reference_and_guidance_matter(parts: Parts) -> None:
    """So that the comparison above could fail: other condition noise, guidance or picture change the result visibly."""
    settings, noise = SamplingSettings(3, 4.0, SIDE), drawn(3)
    latents = run(parts, settings, noise)
    others = {
        "guidance": run(parts, attrs.evolve(settings, guidance=3.9), noise),
        "condition": run(parts, settings, attrs.evolve(noise, condition=noise.condition.flip(1))),
        "picture": run(parts, settings, attrs.evolve(noise, picture=-noise.picture)),
        "negative": run(parts, settings, attrs.evolve(noise, negative=-noise.negative)),
        "ancestral": run(parts, settings, attrs.evolve(noise, ancestral=-noise.ancestral)),
    }
    assert {name for name, other in others.items() if (other - latents).abs().max() < 2e-3} == set()


def test_one_seed_gives_the_same_bits_and_another_does_not(parts: Parts) -> None:
    settings = SamplingSettings(4, 4.0, SIDE)
    first, again, other = (run(parts, settings, torch.Generator().manual_seed(seed)) for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert (first - other).abs().max() > 0.1
    assert torch.equal(run(parts, settings, drawn(4, seed=7)), first)


def test_noise_is_drawn_in_the_documented_order() -> None:
    noise, generator = drawn(2, seed=3), torch.Generator().manual_seed(3)
    small, large = (4, PICTURE_SIDE // SCALE, PICTURE_SIDE // SCALE), (4, SIDE // SCALE, SIDE // SCALE)
    for name, shape in (
        ("picture", (1, *small)),
        ("negative", (1, *small)),
        ("initial", (1, *large)),
        ("condition", (2, 2, *small)),
        ("ancestral", (2, 1, *large)),
    ):
        assert torch.equal(getattr(noise, name), torch.randn(shape, generator=generator)), name


# The sampler


def library_scheduler(config: dict[str, Any], steps: int) -> EulerAncestralDiscreteScheduler:
    with warnings.catch_warnings():
        # It converts a tensor in a way that NumPy 2 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        scheduler = EulerAncestralDiscreteScheduler(**config, timestep_spacing="trailing")
        scheduler.set_timesteps(steps)
    return scheduler


@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear"])
@pytest.mark.parametrize("steps", [1, 2, 3, 24, 28, 50, 61, 75, 103, 999, 1000])
def test_levels_are_those_of_the_library(steps: int, beta_schedule: str) -> None:
    config = {
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": beta_schedule,
        "prediction_type": "v_prediction",
    }
    scheduler, schedule = library_scheduler(config, steps), trailing_schedule(config, steps)
    assert list(schedule.timesteps) == scheduler.timesteps.tolist()
    assert schedule.sigmas == pytest.approx(scheduler.sigmas.tolist(), rel=1e-6)
    assert len(schedule) == steps + (steps in (61, 103))


def test_a_step_is_that_of_the_library(parts: Parts) -> None:
    config = {name: value for name, value in parts.scheduler().items() if name.startswith(("num_", "beta_", "pred"))}
    scheduler, schedule = library_scheduler(config, 6), trailing_schedule(config, 6)
    generator = torch.Generator().manual_seed(0)
    for step, timestep in enumerate(scheduler.timesteps):
        sigma, following = schedule.sigmas[step : step + 2]
        noisy = torch.randn((1, 4, 8, 8), generator=generator) * (sigma + 1)
        v = torch.randn((1, 4, 8, 8), generator=generator)
        noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(step))
        assert torch.allclose(scale_input(noisy, sigma), scheduler.scale_model_input(noisy, timestep), rtol=1e-5)
        wanted = scheduler.step(v, timestep, noisy, generator=torch.Generator().manual_seed(step))
        signal = denoised(noisy, v, sigma)
        assert torch.allclose(signal, wanted.pred_original_sample, atol=1e-5)
        assert torch.allclose(ancestral_step(noisy, signal, sigma, following, noise), wanted.prev_sample, atol=1e-5)


@pytest.mark.parametrize("steps", [0, -1, 1001])
def test_refuses_a_number_of_steps_out_of_range(parts: Parts, steps: int) -> None:
    with pytest.raises(ParamsInvalid, match="1 to 1000 steps"):
        trailing_schedule(parts.scheduler(), steps)


@pytest.mark.parametrize(
    "change", [{"prediction_type": "epsilon"}, {"beta_schedule": "sigmoid"}, {"beta_end": None}], ids=str
)
def test_refuses_a_scheduler_of_another_kind(parts: Parts, change: dict[str, Any]) -> None:
    with pytest.raises(ModelFileCorrupt):
        trailing_schedule({**parts.scheduler(), **change}, 10)


# Decoding and cancelling


def test_cancel_ends_a_step_in_its_middle_and_leaves_nothing_behind(parts: Parts) -> None:
    class Cancelled(Exception):
        pass

    steps_done: list[int] = []
    calls = iter(range(10**6))
    unet_calls_before = 2

    def check() -> None:
        # A step has 2 x 16 self-attentions; the fortieth is in the middle of the second step.
        if next(calls) == unet_calls_before + 40:
            raise Cancelled

    settings = SamplingSettings(3, 4.0, SIDE)
    wanted = run(parts, settings, drawn(3))
    with pytest.raises(Cancelled):
        make_latents(picture(), parts, settings, drawn(3), lambda step, *_: steps_done.append(step), check)
    assert steps_done == [1]
    assert parts.unet()._kept.states == {}
    assert torch.equal(run(parts, settings, drawn(3)), wanted)


def test_tiled_decoding_comes_close(folder: Path, parts: Parts) -> None:
    root = folder / "zero123plus"
    vae = _module(root / "vae", AutoencoderKL, load_file(root / "vae" / "diffusion_pytorch_model.safetensors")).float()
    vae.tile_sample_min_size, vae.tile_latent_min_size = 64, 8
    processor = parts.autoencoder()._image_processor
    latents = torch.nn.functional.interpolate(drawn(1).initial, scale_factor=2, mode="bicubic")
    whole = Autoencoder(vae, processor).decode(latents)
    tiled = Autoencoder(vae, processor, tiled=True).decode(latents)
    assert vae.use_tiling
    assert tiled.shape == whole.shape
    assert 0 < (tiled - whole).abs().mean() < 0.12


def test_preview_keeps_places_and_tells_light_from_dark() -> None:
    latents = torch.zeros(1, 4, 16, 16)
    latents[:, :2, :8, 8:] = 2.0
    latents[:, 3, 8:, :8] = 2.0
    preview = approximate_picture(latents).astype(int)
    assert preview.shape == (512, 512, 3)
    upper_left, upper_right, lower_left = preview[100, 100], preview[100, 400], preview[400, 100]
    assert (upper_right > upper_left + 20).all()
    assert (lower_left < upper_left - 20).all()
