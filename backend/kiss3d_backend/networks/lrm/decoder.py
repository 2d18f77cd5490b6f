"""What the triplanes say about points: samples of the three planes, and five small perceptrons that read them."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from kiss3d_backend.mesh.flexicubes.weights import WEIGHTS
from kiss3d_backend.networks.lrm.shape import LrmShape

WEIGHT_FACTOR = 0.1
"""The numbers of the weight perceptron are multiplied by this."""

_CORNERS = 8
_COLOUR_MARGIN = 0.001


class Synthesizer(nn.Module):
    """Holds the decoder under its published name."""

    def __init__(self, shape: LrmShape) -> None:
        super().__init__()
        self.decoder = Decoder(shape)


class Decoder(nn.Module):
    """Perceptrons over features (N, 3 channels): those of the planes in their order, side by side."""

    def __init__(self, shape: LrmShape) -> None:
        super().__init__()
        features = 3 * shape.channels
        self.net_sdf = perceptron(features, 1, shape)
        self.net_rgb = perceptron(features, 3, shape)
        self.net_material = perceptron(features, 2, shape)
        self.net_deformation = perceptron(features, 3, shape)
        self.net_weight = perceptron(_CORNERS * features, WEIGHTS, shape)

    def field(self, features: Tensor) -> Tensor:
        """(N,): the field, positive inside."""
        return self.net_sdf(features)[:, 0]

    def deformation(self, features: Tensor) -> Tensor:
        """(N, 3), unbounded."""
        return self.net_deformation(features)

    def weights(self, features: Tensor) -> Tensor:
        """(M, 21) unbounded weights of FlexiCubes, from the features (M, 8, 3 channels) of the cells' corners."""
        return self.net_weight(features.flatten(1)) * WEIGHT_FACTOR

    def colours(self, features: Tensor) -> Tensor:
        """(N, 3) sRGB in [-.001, 1.001]: the sigmoid is widened so that black and white can be reached
        (as in Mip-NeRF, arXiv 2103.13415).
        """
        return torch.sigmoid(self.net_rgb(features)) * (1 + 2 * _COLOUR_MARGIN) - _COLOUR_MARGIN


def perceptron(inputs: int, outputs: int, shape: LrmShape) -> nn.Sequential:
    """``decoder_layers`` linear layers with ReLU between them."""
    widths = [inputs, *[shape.decoder_width] * (shape.decoder_layers - 1), outputs]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def sample_planes(planes: Tensor, points: Tensor) -> Tensor:
    """(N, 3 channels): bilinear samples of planes (3, channels, S, S) at points (N, 3).

    The planes lie in a box of side 2 about the origin and are seen along z, y and x: columns and rows grow with
    (x, y), (x, z) and (z, y). Texels are areas (corners are not aligned); outside there are zeros.
    """
    x, y, z = points.to(planes.dtype).unbind(dim=1)
    places = torch.stack([torch.stack(pair, dim=1) for pair in ((x, y), (x, z), (z, y))])[:, None]
    sampled = functional.grid_sample(planes, places, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled[:, :, 0].permute(2, 0, 1).flatten(1)
