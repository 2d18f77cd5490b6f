"""The LRM once more, in float64 from its definition, with products, sums and exponentials of tensors only.

What each function takes from the state is found by the published names, with the widths that the tensors have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from tests.engine import flexicubes_by_hand
from torch import Tensor

State = Mapping[str, Tensor]

HEAD = 64
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)[:, None, None]
DEVIATION = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)[:, None, None]
BOX, SCALE = 2.0, 2.1
"""Sides of the box that the planes lie in, and of the grid."""


def below(state: State, prefix: str) -> dict[str, Tensor]:
    """In float64, without the prefix."""
    return {name.removeprefix(prefix): value.double() for name, value in state.items() if name.startswith(prefix)}


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def norm(state: State, name: str, x: Tensor, epsilon: float) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    spread = torch.sqrt((centred**2).mean(dim=-1, keepdim=True) + epsilon)
    return centred / spread * state[f"{name}.weight"] + state[f"{name}.bias"]


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(L, W), (K, W), (K, W) -> (L, W), in heads of 64 channels."""
    heads = max(query.shape[-1] // HEAD, 1)
    looked = []
    for q, k, v in zip(*(each.chunk(heads, dim=-1) for each in (query, key, value)), strict=True):
        scores = torch.exp(q @ k.T / math.sqrt(q.shape[-1]))
        looked.append(scores / scores.sum(dim=-1, keepdim=True) @ v)
    return torch.cat(looked, dim=-1)


def cubic(distance: float) -> float:
    """The kernel of bicubic interpolation with a = -.75 (Keys, 1981)."""
    a, t = -0.75, abs(distance)
    if t <= 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return (((t - 5) * t + 8) * t - 4) * a if t < 2 else 0.0


def positions(stored: Tensor, rows: int, columns: int) -> Tensor:
    """(1 + rows * columns, W) of the stored (1 + S * S, W): by factors with a tenth added to the target."""
    side = math.isqrt(len(stored) - 1)
    if rows == columns == side:
        return stored

    def mixing(count: int) -> Tensor:
        matrix = torch.zeros(count, side, dtype=torch.float64)
        for target in range(count):
            place = (target + 0.5) / ((count + 0.1) / side) - 0.5
            for tap in range(math.floor(place) - 1, math.floor(place) + 3):
                matrix[target, min(max(tap, 0), side - 1)] += cubic(place - tap)
        return matrix

    table = stored[1:].reshape(side, side, -1)
    mixed = torch.einsum("ra,cb,abd->rcd", mixing(rows), mixing(columns), table)
    return torch.cat([stored[:1], mixed.reshape(rows * columns, -1)])


def image_tokens(state: State, image: Tensor, camera: Tensor) -> Tensor:
    """Of one picture (3, H, W) in [0, 1] and its camera (16,). ``state``: the whole model's."""
    outer = below({name: value for name, value in state.items() if ".layer." not in name}, "encoder.")
    kernel = outer["model.embeddings.patch_embeddings.projection.weight"]
    patch, (height, width) = kernel.shape[-1], image.shape[1:]
    rows, columns = height // patch, width // patch
    cut = ((image.double() - MEAN) / DEVIATION).reshape(3, rows, patch, columns, patch).permute(1, 3, 0, 2, 4)
    x = cut.reshape(rows * columns, -1) @ kernel.reshape(len(kernel), -1).T
    x = x + outer["model.embeddings.patch_embeddings.projection.bias"]
    x = torch.cat([outer["model.embeddings.cls_token"][0], x])
    x = x + positions(outer["model.embeddings.position_embeddings"][0], rows, columns)
    told = linear(outer, "camera_embedder.2", silu(linear(outer, "camera_embedder.0", camera.double())))
    for number in range(layers(state, "encoder.model.encoder.layer.", ".layernorm_before.weight")):
        own = below(state, f"encoder.model.encoder.layer.{number}.")
        shift, scale, mlp_shift, mlp_scale = linear(own, "adaLN_modulation.1", silu(told)).chunk(4)
        seen = norm(own, "layernorm_before", x, 1e-12) * (1 + scale) + shift
        parts = (linear(own, f"attention.attention.{part}", seen) for part in ("query", "key", "value"))
        x = x + linear(own, "attention.output.dense", attention(*parts))
        seen = norm(own, "layernorm_after", x, 1e-12) * (1 + mlp_scale) + mlp_shift
        x = x + linear(own, "output.dense", gelu(linear(own, "intermediate.dense", seen)))
    return norm(outer, "model.layernorm", x, 1e-12)


def triplanes(state: State, tokens: Tensor) -> Tensor:
    """(3, C, 2 T, 2 T) of the tokens (K, W) of all pictures."""
    outer = below({name: value for name, value in state.items() if ".layers." not in name}, "transformer.")
    x = outer["pos_embed"][0]
    for number in range(layers(state, "transformer.layers.", ".norm1.weight")):
        own = below(state, f"transformer.layers.{number}.")
        query = norm(own, "norm1", x, 1e-5) @ own["cross_attn.q_proj_weight"].T
        key, value = (tokens @ own[f"cross_attn.{part}_proj_weight"].T for part in ("k", "v"))
        x = x + attention(query, key, value) @ own["cross_attn.out_proj.weight"].T
        query, key, value = (norm(own, "norm2", x, 1e-5) @ own["self_attn.in_proj_weight"].T).chunk(3, dim=-1)
        x = x + attention(query, key, value) @ own["self_attn.out_proj.weight"].T
        x = x + linear(own, "mlp.3", gelu(linear(own, "mlp.0", norm(own, "norm3", x, 1e-5))))
    x = norm(outer, "norm", x, 1e-6)
    side = math.isqrt(len(x) // 3)
    squares = torch.einsum("prcw,wdij->pdricj", x.reshape(3, side, side, -1), outer["deconv.weight"])
    planes = squares.reshape(3, -1, 2 * side, 2 * side)
    return planes + outer["deconv.bias"][:, None, None]


def layers(state: State, start: str, end: str) -> int:
    return sum(name.startswith(start) and name.endswith(end) for name in state)


def samples(planes: Tensor, points: Tensor) -> Tensor:
    """(N, 3 C) at points (N, 3): of the planes over (x, y), (x, z) and (z, y); bilinear, zero beyond the border."""
    size = planes.shape[-1]
    x, y, z = points.double().unbind(dim=1)
    features = []
    for plane, (across, down) in zip(planes, ((x, y), (x, z), (z, y)), strict=True):
        column, row = ((place / (BOX / 2) + 1) / 2 * size - 0.5 for place in (across, down))
        total = torch.zeros(len(points), len(plane), dtype=torch.float64)
        for r in (row.floor(), row.floor() + 1):
            for c in (column.floor(), column.floor() + 1):
                there = (r >= 0) & (r < size) & (c >= 0) & (c < size)
                share = torch.where(there, (1 - (row - r).abs()) * (1 - (column - c).abs()), 0.0)
                total += share[:, None] * plane[:, r.clamp(0, size - 1).long(), c.clamp(0, size - 1).long()].T
        features.append(total)
    return torch.cat(features, dim=1)


def read(state: State, net: str, features: Tensor) -> Tensor:
    """One of the decoder's perceptrons."""
    own = below(state, f"synthesizer.decoder.{net}.")
    last = max(int(name.split(".")[0]) for name in own)
    for layer in range(0, last + 1, 2):
        features = linear(own, str(layer), features)
        if layer < last:
            features = features.clamp(min=0)
    return features


def colours(state: State, features: Tensor) -> Tensor:
    return 1.002 / (1 + torch.exp(-read(state, "net_rgb", features))) - 0.001


def grid(resolution: int) -> Tensor:
    """((R + 1)**3, 3), x slowest."""
    axis = (torch.arange(resolution + 1, dtype=torch.float64) / resolution - 0.5) * SCALE
    return torch.cartesian_prod(axis, axis, axis)


def corners(resolution: int) -> Tensor:
    """(R**3, 8): which vertices of the grid each cell has."""
    side = resolution + 1
    steps = torch.tensor([(x * side + y) * side + z for x, y, z in flexicubes_by_hand.CORNERS])
    first = torch.arange(side**3).reshape(side, side, side)[:-1, :-1, :-1].reshape(-1)
    return first[:, None] + steps


@attrs.frozen(eq=False)
class Shape:
    """``values``: ((R + 1)**3,). ``deformations``: ((R + 1)**3, 3). ``weights``: (R**3, 21). ``vertices``, ``faces``,
    ``sure``: of the surface, which looks outwards, and of the diagonals of its quads."""

    values: Tensor
    deformations: Tensor
    weights: Tensor
    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]
    sure: NDArray[np.float64]


def shape(state: State, planes: Tensor, resolution: int) -> Shape:
    """Of a field with both signs inside."""
    points = grid(resolution)
    features = samples(planes, points)
    values = read(state, "net_sdf", features)[:, 0]
    deformations = read(state, "net_deformation", features)
    weights = 0.1 * read(state, "net_weight", features[corners(resolution)].flatten(1))
    moved = points + torch.tanh(deformations) / (4 * resolution)
    vertices, faces, sure = flexicubes_by_hand.surface(moved.numpy(), values.numpy(), resolution, weights.numpy())
    return Shape(values, deformations, weights, vertices, faces[:, ::-1], sure)
