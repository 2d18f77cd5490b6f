"""What the planner believes of the networks, against the networks themselves at their published sizes.

Modules are made on the meta device: allocations are counted, nothing is computed, no memory is taken.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.controlnets.controlnet_flux import FluxControlNetModel
from tests.fakes.allocations import Allocations
from tests.fakes.tiny.zero123 import PUBLISHED_UNET
from transformers.models.t5.modeling_t5 import T5DenseGatedActDense

from kiss3d_backend.devices import work
from kiss3d_backend.devices.components import CLIP_PARAMETERS, T5_PARAMETERS, components
from kiss3d_backend.devices.flux_shape import FluxShape
from kiss3d_backend.devices.precision import Compute
from kiss3d_backend.devices.workload import WORKLOADS
from kiss3d_backend.networks.flux import scaled_products
from kiss3d_backend.networks.flux.controlnet import quiet_construction
from kiss3d_backend.networks.flux.denoiser import Denoiser, block_list
from kiss3d_backend.networks.flux.prompt import PromptEmbeddings
from kiss3d_backend.networks.flux.scaled_products import ScaledProduct, use_scaled_products
from kiss3d_backend.networks.flux.stored_layers import store_linears, stored_names
from kiss3d_backend.networks.flux.text_encoders import GatedFeedForward
from kiss3d_backend.networks.flux.tiles import in_tiles
from kiss3d_backend.networks.flux.transformer import TransformerShape
from kiss3d_backend.networks.lrm.model import Lrm
from kiss3d_backend.networks.zero123.reference import ReferenceUNet
from kiss3d_backend.recipes.learned import LEARNED_PRESETS

HALF: Compute = "bfloat16"
BFLOAT16 = torch.bfloat16
PARTS = components(FluxShape(), loras=0)


def empty(*shape: int, dtype: torch.dtype = BFLOAT16) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def most(run: Callable[[], object]) -> int:
    gc.collect()
    with torch.inference_mode(), Allocations() as seen:
        run()
    return seen.most


def made(make: Callable[[], Any]) -> Any:
    with torch.device("meta"):
        module = make()
    torch.nn.Module.to(module, BFLOAT16)
    return module.eval()


@pytest.mark.parametrize("guided", [True, False])
def test_the_transformer_has_as_many_parameters(guided: bool) -> None:
    shape = FluxShape(guided=guided)
    model = TransformerShape(64, 64, 3072, 128, 19, 38, 4096, 768, guided).build()
    assert parameters(model) == shape.parameters
    assert parameters(model.transformer_blocks[0]) == shape.double_block
    assert parameters(model.single_transformer_blocks[0]) == shape.single_block


def test_the_other_networks_have_as_many_parameters() -> None:
    unet = made(lambda: UNet2DConditionModel(**PUBLISHED_UNET))
    assert parameters(unet) == PARTS["multiview_unet"].wide
    assert parameters(made(Lrm)) == pytest.approx(PARTS["lrm"].wide, rel=1e-3)
    assert parameters(made(lambda: autoencoder(16))) == PARTS["flux autoencoder"].wide
    assert parameters(made(lambda: autoencoder(4))) == PARTS["zero123plus autoencoder"].wide
    vision, text = clip_vision(), clip_text(1024, 4096, 23)
    assert parameters(vision) + parameters(text) == PARTS["zero123plus encoders"].wide
    assert parameters(clip_text(768, 3072, 12)) == CLIP_PARAMETERS
    assert parameters(t5()) == T5_PARAMETERS


def autoencoder(latents: int) -> AutoencoderKL:
    levels: dict[str, Any] = {
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "block_out_channels": (128, 256, 512, 512),
    }
    flux = latents == 16
    return AutoencoderKL(
        **levels, layers_per_block=2, latent_channels=latents, use_quant_conv=not flux, use_post_quant_conv=not flux
    )


def clip_vision() -> Any:
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    return made(
        lambda: CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=1280,
                intermediate_size=5120,
                num_hidden_layers=32,
                num_attention_heads=16,
                patch_size=14,
                projection_dim=1024,
            )
        )
    )


def clip_text(width: int, mlp: int, layers: int) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
    )
    return made(lambda: CLIPTextModel(config))


def t5() -> Any:
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=32128,
        d_model=4096,
        d_kv=64,
        d_ff=10240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
        use_cache=False,
        is_encoder_decoder=False,
    )
    return made(lambda: T5EncoderModel(config))


def in_float8(model: torch.nn.Module) -> None:
    stored = stored_names(model)
    for name, parameter in list(model.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        dtype = torch.float8_e4m3fn if name in stored else BFLOAT16
        value = torch.nn.Parameter(torch.empty(parameter.shape, dtype=dtype, device="meta"), requires_grad=False)
        model.get_submodule(owner)._parameters[leaf] = value


def denoiser() -> Denoiser:
    # Blocks of a kind need the same: two of each are enough, and quick.
    model = TransformerShape(64, 64, 3072, 128, 2, 2, 4096, 768, guidance=True).build()
    store_linears(model)
    in_float8(model)
    return Denoiser(model.eval(), device=torch.device("meta"))


def evaluation(network: Denoiser, image_tokens: int, text_tokens: int) -> int:
    def run() -> None:
        prompt = PromptEmbeddings(empty(1, text_tokens, 4096), empty(1, 768))
        places = empty(image_tokens, 3, dtype=torch.float32)
        conditions = network.conditions(prompt, places, empty(1, dtype=torch.float32))
        network.evaluate(empty(1, image_tokens, 64), empty(1), conditions)

    return most(run)


@pytest.mark.parametrize("preset", ["fast", "balanced"])
def test_an_evaluation_of_the_transformer(preset: str) -> None:
    workload = WORKLOADS[preset]
    planned = work.transformer(FluxShape(), workload.tokens, HALF, "upcast")
    assert planned == pytest.approx(evaluation(denoiser(), workload.image_tokens, workload.text_tokens), rel=0.03)


def test_an_evaluation_with_scaled_products(monkeypatch: pytest.MonkeyPatch) -> None:
    def product(x: Any, scale: Any, weight: Any, bias: Any, dtype: torch.dtype) -> torch.Tensor:
        return empty(x.shape[0], weight.shape[0], dtype=dtype)

    monkeypatch.setattr(scaled_products, "defined_product", product)
    network = denoiser()
    use_scaled_products(block_list(network.model), ScaledProduct("tensor"))
    planned = work.transformer(FluxShape(), 8192 + 256, HALF, "scaled")
    assert planned == pytest.approx(evaluation(network, 8192, 256), rel=0.03)


def test_an_evaluation_that_a_controlnet_steers() -> None:
    workload = WORKLOADS["quality"]
    tokens, image = workload.tokens - workload.image_tokens, workload.image_tokens

    def make() -> FluxControlNetModel:
        return FluxControlNetModel(
            num_layers=5, num_single_layers=10, guidance_embeds=True, axes_dims_rope=[16, 56, 56], num_mode=10
        )

    with quiet_construction():
        network = made(make)
    held = empty(3, workload.tokens, 3072)

    def run() -> None:
        network(
            hidden_states=empty(1, image, 64),
            controlnet_cond=empty(1, image, 64),
            controlnet_mode=empty(1, 1, dtype=torch.long),
            encoder_hidden_states=empty(1, tokens, 4096),
            pooled_projections=empty(1, 768),
            timestep=empty(1),
            img_ids=empty(image, 3),
            txt_ids=empty(tokens, 3),
            guidance=empty(1),
            return_dict=False,
        )

    planned = work.transformer(FluxShape(), workload.tokens, HALF, "scaled", steered=True)
    assert planned == pytest.approx(most(run) + held.nbytes, rel=0.03)


def test_the_autoencoders_beside_the_kernels_workspaces() -> None:
    """The planned figures have more for that: 3.6 of the finest level as measured, and one as an allowance."""
    flux = made(lambda: autoencoder(16))
    finest = work.VAE_CHANNELS * 1024 * 2048 * 2
    decoding = most(lambda: flux.decode(empty(1, 16, 128, 256), return_dict=False))
    assert work.vae_decode(2048, 1024, HALF) - 3.6 * finest == pytest.approx(decoding, rel=0.03)
    encoding = most(lambda: flux.encode(empty(1, 3, 1024, 2048), return_dict=False))
    assert work.vae_encode(2048, 1024, HALF) - finest == pytest.approx(encoding, rel=0.03)

    def decode(code: torch.Tensor) -> torch.Tensor:
        return flux.decode(code, return_dict=False)[0]

    tiled = most(lambda: in_tiles(decode, empty(1, 16, 128, 256), made_cell=8))
    tile = work.VAE_CHANNELS * work.TILE**2 * 2
    assert work.vae_decode(2048, 1024, HALF, tiled=True) - 3.6 * tile == pytest.approx(tiled, rel=0.06)


def test_the_multiview_network() -> None:
    network = ReferenceUNet(made(lambda: UNet2DConditionModel(**PUBLISHED_UNET)))
    seen = most(
        lambda: network(empty(2, 4, 128, 128), empty(2, 4, 64, 64), torch.empty((), device="meta"), empty(2, 77, 1024))
    )
    assert work.unet(1024, HALF) == pytest.approx(1.25 * seen, rel=0.03)


@pytest.mark.parametrize("tokens", [256, 512])
def test_the_text_encoders(tokens: int) -> None:
    model = t5()
    store_linears(model)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, T5DenseGatedActDense):
            parts = (layer.get_submodule(part) for part in ("wi_0", "wi_1", "wo"))
            model.set_submodule(name, GatedFeedForward(*parts))
    in_float8(model)
    seen = most(lambda: model(inputs_embeds=empty(1, tokens, 4096)))
    assert work.text_encoders(tokens, HALF) == pytest.approx(seen, rel=0.1)


@pytest.mark.parametrize("preset", WORKLOADS)
def test_the_workloads_are_those_of_the_presets(preset: str) -> None:
    settings = LEARNED_PRESETS[preset]
    flux, workload = settings.flux, WORKLOADS[preset]
    assert (workload.width, workload.height) == (flux.width, flux.height)
    assert workload.text_tokens == flux.tokens
    assert workload.control == (flux.control is not None) and workload.redux == (flux.redux is not None)
    assert workload.loras == bool(flux.lora) + bool(flux.turbo)
    assert workload.guided == ("dev" in settings.flux_entry)
    assert workload.evaluations == flux.steps and flux.solver == "euler"
    assert workload.views_side == settings.views.side
