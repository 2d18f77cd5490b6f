"""The LRM's image encoder beside transformers' own ViT and beside its definition in float64."""

from __future__ import annotations

import pytest
import torch
from tests.learned import lrm_by_hand as by_hand

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


def test_with_modulation_it_is_what_the_definition_says(encoder: ImageEncoder) -> None:
    random = torch.Generator().manual_seed(2)
    images, cameras = torch.rand(3, 3, 64, 64, generator=random), torch.randn(3, 16, generator=random)
    state = {f"encoder.{name}": value for name, value in encoder.state_dict().items()}
    expected = torch.stack([by_hand.image_tokens(state, *pair) for pair in zip(images, cameras, strict=True)])
    found = encoder(images, cameras, no_step)
    assert (found - expected).norm() / expected.norm() < 1e-5
    other = encoder(images, cameras.roll(1, dims=0), no_step)
    assert (other - found).norm() / found.norm() > 0.01, "the camera matters"


def test_positions_are_resampled_by_factors_with_a_tenth_added(encoder: ImageEncoder) -> None:
    stored = encoder.model.embeddings.position_embeddings
    found = encoder.model.embeddings.positions_for(7, 9)
    torch.testing.assert_close(found[0].double(), by_hand.positions(stored[0].double(), 7, 9), atol=1e-5, rtol=0)
    assert torch.equal(found[0, 0], stored[0, 0])


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
