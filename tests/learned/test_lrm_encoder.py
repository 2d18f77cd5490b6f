"""The LRM's image encoder against transformers' own ViT, against float64 by hand, and its positions against Keys."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from kiss3d_backend.networks.lrm.encoder import ImageEncoder
from kiss3d_backend.networks.lrm.shape import LrmShape

SHAPE = LrmShape(image_width=128, image_layers=2, image_mlp=96, patch=16, image_positions=4)
MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


def no_step() -> None: ...


@pytest.fixture
def encoder() -> ImageEncoder:
    torch.manual_seed(0)
    made = ImageEncoder(SHAPE)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made.requires_grad_(False).eval()


def without_camera(encoder: ImageEncoder) -> ImageEncoder:
    for layer in encoder.model.encoder.layer:
        layer.adaLN_modulation[1].weight.zero_()
        layer.adaLN_modulation[1].bias.zero_()
    return encoder


def test_without_modulation_it_is_a_vit(encoder: ImageEncoder) -> None:
    """transformers' own model takes the tensors and gives the same numbers."""
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=96,
        image_size=64,
        patch_size=16,
        layer_norm_eps=1e-12,
        attn_implementation="eager",
    )
    vit = ViTModel(config, add_pooling_layer=False).eval()
    state = without_camera(encoder).model.state_dict()
    ours = {in_transformers(name): value for name, value in state.items() if "adaLN" not in name}
    vit.load_state_dict(ours)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = vit((images - MEAN) / DEVIATION).last_hidden_state
    found = encoder(images, torch.randn(2, 16), no_step)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def in_transformers(name: str) -> str:
    """What transformers calls a tensor of the published layout since its version 5."""
    for old, new in (
        ("encoder.layer.", "layers."),
        ("attention.attention.query", "attention.q_proj"),
        ("attention.attention.key", "attention.k_proj"),
        ("attention.attention.value", "attention.v_proj"),
        ("attention.output.dense", "attention.o_proj"),
        ("intermediate.dense", "mlp.fc1"),
        ("output.dense", "mlp.fc2"),
    ):
        name = name.replace(old, new)
    return name


def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    return centred / torch.sqrt((centred**2).mean(dim=-1, keepdim=True) + 1e-12) * weight + bias


def by_hand(state: dict[str, Tensor], images: Tensor, cameras: Tensor) -> Tensor:
    """The whole encoder in float64, for pictures of the stored size, without a torch module."""
    size, patch, width, heads = images.shape[-1], SHAPE.patch, SHAPE.image_width, SHAPE.image_heads
    side = size // patch
    images = (images - MEAN) / DEVIATION
    patches = images.reshape(-1, 3, side, patch, side, patch).permute(0, 2, 4, 1, 3, 5)
    patches = patches.reshape(-1, side**2, 3 * patch**2)
    projection = state["model.embeddings.patch_embeddings.projection.weight"].reshape(width, -1)
    x = patches @ projection.T + state["model.embeddings.patch_embeddings.projection.bias"]
    x = torch.cat([state["model.embeddings.cls_token"].expand(len(x), -1, -1), x], dim=1)
    x = x + state["model.embeddings.position_embeddings"]
    hidden = cameras @ state["camera_embedder.0.weight"].T + state["camera_embedder.0.bias"]
    hidden = hidden / (1 + torch.exp(-hidden))
    camera = hidden @ state["camera_embedder.2.weight"].T + state["camera_embedder.2.bias"]
    for number in range(SHAPE.image_layers):
        layer = {k.split(f"layer.{number}.")[1]: v for k, v in state.items() if f"layer.{number}." in k}

        def linear(name: str, of: Tensor, layer: dict[str, Tensor] = layer) -> Tensor:
            return of @ layer[f"{name}.weight"].T + layer[f"{name}.bias"]

        told = linear("adaLN_modulation.1", camera / (1 + torch.exp(-camera)))[:, None]
        shift, scale, mlp_shift, mlp_scale = (told[..., part * width : (part + 1) * width] for part in range(4))
        seen = norm(x, layer["layernorm_before.weight"], layer["layernorm_before.bias"]) * (1 + scale) + shift
        query, key, value = (
            linear(f"attention.attention.{name}", seen).reshape(len(x), -1, heads, width // heads)
            for name in ("query", "key", "value")
        )
        score = torch.softmax(torch.einsum("bihd,bjhd->bhij", query, key) / math.sqrt(width // heads), dim=-1)
        looked = torch.einsum("bhij,bjhd->bihd", score, value).reshape(x.shape)
        x = x + linear("attention.output.dense", looked)
        seen = norm(x, layer["layernorm_after.weight"], layer["layernorm_after.bias"]) * (1 + mlp_scale) + mlp_shift
        inner = linear("intermediate.dense", seen)
        x = x + linear("output.dense", inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2))))
    return norm(x, state["model.layernorm.weight"], state["model.layernorm.bias"])


def test_with_modulation_it_is_what_the_definition_says(encoder: ImageEncoder) -> None:
    random = torch.Generator().manual_seed(2)
    images, cameras = torch.rand(3, 3, 64, 64, generator=random), torch.randn(3, 16, generator=random)
    state = {name: value.double() for name, value in encoder.state_dict().items()}
    expected = by_hand(state, images.double(), cameras.double())
    found = encoder(images, cameras, no_step)
    assert (found - expected).norm() / expected.norm() < 1e-5
    other = encoder(images, cameras.roll(1, dims=0), no_step)
    assert (other - found).norm() / found.norm() > 0.01, "the camera matters"


def keys_cubic(distance: float) -> float:
    """The kernel of bicubic interpolation with a = -.75 (Keys, 1981)."""
    a, t = -0.75, abs(distance)
    if t <= 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return (((t - 5) * t + 8) * t - 4) * a if t < 2 else 0.0


def test_positions_are_resampled_by_factors_with_a_tenth_added(encoder: ImageEncoder) -> None:
    rows, columns, stored = 7, 9, SHAPE.image_positions
    table = encoder.model.embeddings.position_embeddings[0, 1:].double().numpy().reshape(stored, stored, -1)

    def mixing(count: int) -> np.ndarray:
        matrix = np.zeros((count, stored))
        for target in range(count):
            place = (target + 0.5) / ((count + 0.1) / stored) - 0.5
            for tap in range(math.floor(place) - 1, math.floor(place) + 3):
                matrix[target, min(max(tap, 0), stored - 1)] += keys_cubic(place - tap)
        return matrix

    expected = np.einsum("ra,cb,abd->rcd", mixing(rows), mixing(columns), table).reshape(rows * columns, -1)
    found = encoder.model.embeddings.positions_for(rows, columns)
    np.testing.assert_allclose(found[0, 1:].numpy(), expected, atol=1e-5)
    assert torch.equal(found[0, 0], encoder.model.embeddings.position_embeddings[0, 0])


def test_patches_are_numbered_row_by_row_at_any_size(encoder: ImageEncoder) -> None:
    without_camera(encoder)
    for parameter in encoder.model.encoder.parameters():
        parameter.zero_()
    dark = torch.zeros(1, 3, 48, 96)
    lit = dark.clone()
    lit[:, :, 16:32, 80:96] = 1.0
    cameras = torch.zeros(1, 16)
    change = (encoder(lit, cameras, no_step) - encoder(dark, cameras, no_step)).abs().amax(dim=(0, 2))
    assert change.shape == (1 + 3 * 6,)
    assert torch.nonzero(change > 1e-6).ravel().tolist() == [1 + 1 * 6 + 5]
