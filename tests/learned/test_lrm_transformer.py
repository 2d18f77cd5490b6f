"""The triplane transformer against torch's own attention and layers, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kiss3d_backend.networks.lrm.attention import CrossAttention, SelfAttention
from kiss3d_backend.networks.lrm.shape import LrmShape
from kiss3d_backend.networks.lrm.transformer import TriplaneTransformer

SHAPE = LrmShape(image_width=48, width=128, layers=2, mlp=96, tokens=3, channels=5)


def test_attention_is_torchs_own_and_takes_its_tensors() -> None:
    torch.manual_seed(0)
    tokens, others = torch.randn(2, 7, 128), torch.randn(2, 11, 48)
    theirs = nn.MultiheadAttention(128, 2, bias=False, batch_first=True)
    ours = SelfAttention(128, 2)
    ours.load_state_dict(theirs.state_dict())
    expected = theirs(tokens, tokens, tokens)[0]
    torch.testing.assert_close(ours(tokens[:, 2:5], *ours.read(tokens)), expected[:, 2:5], rtol=1e-4, atol=1e-5)
    theirs = nn.MultiheadAttention(128, 2, bias=False, batch_first=True, kdim=48, vdim=48)
    ours = CrossAttention(128, 48, 2)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(
        ours(tokens, *ours.read(others)), theirs(tokens, others, others)[0], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("tokens_at_once", [1024, 10])
def test_blocks_norm_and_deconvolution_are_put_together_as_published(
    tokens_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kiss3d_backend.networks.lrm.pieces.TOKENS_AT_ONCE", tokens_at_once)
    torch.manual_seed(1)
    model = TriplaneTransformer(SHAPE).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.add_(0.3 * torch.randn_like(parameter))
    steps: list[None] = []
    image_tokens = torch.randn(2, 12, 48)
    found = model(image_tokens, lambda: steps.append(None))
    assert found.shape == (2, 3, 5, 6, 6)
    own, seen = (1, 1) if tokens_at_once == 1024 else (3, 2)
    assert len(steps) == model.steps(12) == SHAPE.layers * (4 * own + seen)

    with torch.no_grad():
        expected = put_together(model, image_tokens.double())
    assert (found - expected).norm() / expected.norm() < 1e-5


def put_together(model: TriplaneTransformer, image_tokens: torch.Tensor) -> torch.Tensor:
    state = {name: value.double() for name, value in model.state_dict().items()}
    x = state["pos_embed"].expand(len(image_tokens), -1, -1)
    for number in range(SHAPE.layers):
        own = {k.removeprefix(f"layers.{number}."): v for k, v in state.items() if k.startswith(f"layers.{number}.")}

        def part(prefix: str, module: nn.Module, own: dict[str, torch.Tensor] = own) -> nn.Module:
            module.load_state_dict({k.removeprefix(prefix): v for k, v in own.items() if k.startswith(prefix)})
            return module.double().eval()

        cross = part("cross_attn.", nn.MultiheadAttention(128, 2, bias=False, batch_first=True, kdim=48, vdim=48))
        own_attention = part("self_attn.", nn.MultiheadAttention(128, 2, bias=False, batch_first=True))
        norms = [part(f"norm{which}.", nn.LayerNorm(128, eps=1e-5)) for which in (1, 2, 3)]
        x = x + cross(norms[0](x), image_tokens, image_tokens)[0]
        seen = norms[1](x)
        x = x + own_attention(seen, seen, seen)[0]
        inner = norms[2](x) @ own["mlp.0.weight"].T + own["mlp.0.bias"]
        inner = inner * 0.5 * (1 + torch.erf(inner / 2**0.5))
        x = x + inner @ own["mlp.3.weight"].T + own["mlp.3.bias"]
    x = nn.functional.layer_norm(x, (128,), state["norm.weight"], state["norm.bias"], eps=1e-6)
    planes = torch.zeros(len(x), 3, 5, 6, 6, dtype=torch.float64)
    for plane in range(3):
        for row in range(3):
            for column in range(3):
                token = x[:, (plane * 3 + row) * 3 + column]
                square = torch.einsum("nd,dcij->ncij", token, state["deconv.weight"])
                planes[:, plane, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = square
    return planes + state["deconv.bias"][:, None, None]
